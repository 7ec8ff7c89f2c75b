"""HTML of `fastgan compare`. ``string.Template`` replaces names that start with a dollar sign."""

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
  :root { --paper: #f5f6f8; --card: #ffffff; --ink: #1f2430; --soft: #626a7a; --line: #e2e5eb; }
  @media (prefers-color-scheme: dark) {
    :root { --paper: #11141a; --card: #1a1e27; --ink: #e6e8ee; --soft: #98a1b3; --line: #2b313d; }
  }
  * { box-sizing: border-box; }
  body { margin: 0; background: var(--paper); color: var(--ink);
         font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
  main { max-width: 1600px; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
  h1 { margin: 0 0 1.75rem; font-size: 2rem; line-height: 1.2; letter-spacing: -0.02em; }
  h2 { margin: 0 0 1rem; font-size: 1.05rem; overflow-wrap: anywhere; }
  section { padding: 1.25rem; background: var(--card); border: 1px solid var(--line);
            border-radius: 12px; }
  .table { overflow-x: auto; margin-bottom: 1.25rem; }
  .runs { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr));
          gap: 1.25rem; }
  img { display: block; width: 100%; height: auto; border-radius: 6px; }
  img.samples { margin-bottom: 1rem; image-rendering: pixelated; }
  table { width: 100%; border-collapse: collapse; font-size: .875rem; }
  th, td { padding: .4rem 1rem .4rem 0; border-bottom: 1px solid var(--line);
           text-align: left; vertical-align: top; }
  tbody th { color: var(--soft); font-weight: 400; }
  td { font-variant-numeric: tabular-nums; }
  .measure td { font-weight: 600; }
  tbody tr:last-child > * { border-bottom: 0; }
</style>
</head>
<body>
<main>
<h1>$count runs side by side</h1>
<section class="table"><table>$table</table></section>
<div class="runs">$columns</div>
</main>
</body>
</html>
""")
