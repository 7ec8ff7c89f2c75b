"""HTML of report.html. ``string.Template`` replaces names that start with a dollar sign."""

from string import Template

PAGE = Template("""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>$title – fastgan</title>
<style>
  :root { --paper: #f5f6f8; --card: #ffffff; --ink: #1f2430;
          --soft: #626a7a; --line: #e2e5eb; --accent: #2563eb; }
  @media (prefers-color-scheme: dark) {
    :root { --paper: #11141a; --card: #1a1e27; --ink: #e6e8ee;
            --soft: #98a1b3; --line: #2b313d; --accent: #7aa7ff; }
  }
  * { box-sizing: border-box; }
  body { margin: 0; background: var(--paper); color: var(--ink);
         font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
  main { max-width: 1080px; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
  h1 { margin: 0; font-size: 2rem; line-height: 1.2; letter-spacing: -0.02em; }
  h2 { margin: 0 0 1rem; font-size: 1.05rem; }
  header p { margin: .35rem 0 0; color: var(--soft); }
  header .badge { display: inline-block; margin-top: .9rem; padding: .2rem .75rem;
                  border-radius: 1rem; border: 1px solid var(--accent); color: var(--accent);
                  font-size: .875rem; }
  dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr));
       gap: 1rem; margin: 1.75rem 0; }
  dl div, section { background: var(--card); border: 1px solid var(--line); border-radius: 12px; }
  dl div { padding: .9rem 1.1rem; }
  dt { color: var(--soft); font-size: .8125rem; }
  dd { margin: .1rem 0 0; font-size: 1.5rem; font-weight: 600; font-variant-numeric: tabular-nums; }
  section { padding: 1.25rem; margin-bottom: 1.25rem; }
  .pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr));
          gap: 1.25rem; }
  .pair section { margin: 0; }
  img { display: block; width: 100%; height: auto; border-radius: 6px; }
  img.samples { max-width: 720px; margin: 0 auto; image-rendering: pixelated; }
  .stages { display: grid; grid-template-columns: repeat(5, minmax(0, 1fr)); gap: .9rem; }
  figure { margin: 0; }
  figcaption { margin-top: .4rem; color: var(--soft); font-size: .8125rem; text-align: center; }
  table { width: 100%; border-collapse: collapse; font-size: .875rem; }
  th, td { padding: .4rem 0; border-bottom: 1px solid var(--line);
           text-align: left; vertical-align: top; }
  th { width: 40%; padding-right: 1rem; color: var(--soft); font-weight: 400; }
  td { overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
  tr:last-child th, tr:last-child td { border-bottom: 0; }
  code { display: block; padding: .8rem 1rem; overflow-x: auto;
         background: var(--paper); border-radius: 8px;
         font: .875rem ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
  section p { margin: .8rem 0 0; color: var(--soft); font-size: .875rem; text-align: center; }
  @media (max-width: 640px) { .stages { grid-template-columns: repeat(3, minmax(0, 1fr)); } }
</style>
</head>
<body>
<main>
<header>
  <h1>$title</h1>
  <p>$summary</p>
  $state
</header>
<dl>$tiles</dl>
<section>
  <h2>Samples</h2>
  <img class="samples" src="$samples" alt="A grid of generated images">
  $views
</section>
<section>
  <h2>Curves</h2>
  <picture>
    <source media="(prefers-color-scheme: dark)" srcset="$curves_dark">
    <img src="$curves_light"
         alt="Losses of both players; D's mean verdict on real and on generated images">
  </picture>
</section>
<section>
  <h2>The same $what_stays through the run</h2>
  <div class="stages">$stages</div>
</section>
<div class="pair">
  <section><h2>Settings</h2><table>$settings</table></section>
  <section><h2>Made with</h2><table>$versions</table></section>
</div>
<section style="margin-top: 1.25rem">
  <h2>Draw more</h2>
  <code>$command</code>
</section>
</main>
</body>
</html>
""")
