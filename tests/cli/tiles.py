"""Images in the grids of `fastgan sample`: 16 pixels shown as 64, with a line of 2 beside each."""

LINE = 2
TILE = 64 + LINE


def tile(picture, row, column):
    """Return the image at a place in a grid, without the lines around it."""
    return picture[LINE + row * TILE : (row + 1) * TILE, LINE + column * TILE : (column + 1) * TILE]
