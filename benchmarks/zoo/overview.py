"""Draw the README's picture from the zoo's samples: ``python -m benchmarks.zoo.overview``."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

PICTURES = Path(__file__).resolve().parents[2] / "docs" / "images"
# Two recipes a row, and the height of what is shown of their samples.
ROWS = ((("cgan", "stylegan2"), 128), (("gaugan", "inpaint"), 96))
GAP = 8


def draw_overview(folder: Path) -> Image.Image:
    """Return the samples of four recipes, whose pictures lie in a folder, as one picture."""
    rows = []
    for names, height in ROWS:
        pictures = [Image.open(folder / f"{name}.png").convert("RGB") for name in names]
        rows.append([picture.crop((0, 0, picture.width, height)) for picture in pictures])
    width = sum(picture.width for picture in rows[0]) + GAP
    overview = Image.new("RGB", (width, sum(height for _, height in ROWS) + GAP), "white")
    y = 0
    for row in rows:
        x = 0
        for picture in row:
            overview.paste(picture, (x, y))
            x += picture.width + GAP
        y += row[0].height + GAP
    return overview


def main() -> None:
    path = PICTURES / "samples.png"
    draw_overview(PICTURES / "gans").save(path, optimize=True)
    print(f"wrote {path.relative_to(PICTURES.parents[1])}")


if __name__ == "__main__":
    main()
