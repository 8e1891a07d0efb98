"""Pictures side by side, for people to look at."""

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

BACKGROUND = (225, 225, 225)
GAP = 4
FONT_SIZE = 13
LEADING = 18  # height of a line of text, in px


def evenly_spaced(candidates: Sequence[int], wanted: int) -> list[int]:
    """`wanted` of the candidates, evenly spaced, so that a sheet shows more than the first pictures; all if fewer."""
    places = np.linspace(0, len(candidates) - 1, min(wanted, len(candidates))).round().astype(int)
    return [candidates[place] for place in places]


def image_grid(rows: list[list[np.ndarray]], titles: list[str], labels: list[str] | None = None) -> Image.Image:
    """Lay pictures of one size out in rows, the rows in as many blocks as make the sheet nearest to a square.

    Args:
        rows: of each row its pictures, uint8, RGB HWC or grey HW, one to a title.
        titles: over the columns.
        labels: one for each row, over its first picture; None for none.

    Returns:
        An RGB picture, on a light grey so that white pictures show.
    """
    font = ImageFont.load_default(FONT_SIZE)
    height, width = rows[0][0].shape[:2]
    cell_width = max(width, *(math.ceil(font.getlength(title)) for title in titles)) + GAP
    label_height = LEADING if labels else 0
    cell_height = height + GAP + label_height
    block_width = len(titles) * cell_width + 2 * GAP

    def unevenness(blocks: int) -> float:
        return abs(math.log(blocks * block_width / (math.ceil(len(rows) / blocks) * cell_height + LEADING)))

    blocks = min(range(1, len(rows) + 1), key=unevenness)
    tall = math.ceil(len(rows) / blocks)
    sheet = Image.new("RGB", (blocks * block_width, tall * cell_height + LEADING), BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    for number, row in enumerate(rows):
        left, top = number // tall * block_width + GAP, number % tall * cell_height + LEADING
        if labels:
            draw.text((left, top), labels[number], "black", font)
        for column, picture in enumerate(row):
            sheet.paste(Image.fromarray(picture), (left + column * cell_width, top + label_height))
    for block in range(blocks):
        for column, title in enumerate(titles):
            draw.text((block * block_width + GAP + column * cell_width, 0), title, "black", font)
    return sheet
