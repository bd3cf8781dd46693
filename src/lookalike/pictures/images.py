"""Images in grids, drawn with Pillow alone: in milliseconds, since training draws them as it goes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from .chart import INK

TILE = 56
"""Pixels that the longer side of a small image is enlarged to, as nearly as a whole factor can."""


def grid(
    x: Tensor,
    *,
    columns: int | None = None,
    row_labels: Sequence[str] = (),
    column_labels: Sequence[str] = (),
    title: str = "",
    scale: int | None = None,
    group: int = 0,
) -> Image.Image:
    """Images side by side, row by row.

    Arguments:
        x: in [0, 1], shape (N, C, H, W); three channels are colours, one is grey, and any other number
            is drawn as so many grey images side by side.
        columns: images in a row; None for about as many as there are rows.
        row_labels, column_labels: written left of the rows and above the columns.
        title: written above all.
        scale: whole factor by which each image is enlarged; None enlarges the small ones.
        group: rows between which there is a wider gap, 0 for none.
    """
    tiles = _tiles(x, scale)
    N, H, W, _ = tiles.shape
    columns = min(N, columns or math.ceil(math.sqrt(N)))
    rows = math.ceil(N / columns)
    font, title_font = ImageFont.load_default(13), ImageFont.load_default(15)
    gap = 2 if max(H, W) < 200 else 4
    left = 14 + max(font.getlength(label) for label in row_labels) if row_labels else 0
    top = 26 * bool(title) + 20 * bool(column_labels)
    x_of = [round(left) + gap + j * (W + gap) for j in range(columns)]
    y_of = [top + gap + i * (H + gap) + (4 * gap * (i // group) if group else 0) for i in range(rows)]
    width, height = x_of[-1] + W + gap, y_of[-1] + H + gap
    picture = Image.new("RGB", (max(width, round(left + title_font.getlength(title)) + gap), height), "white")
    for tile, (y, x_) in zip(tiles, itertools.product(y_of, x_of), strict=False):
        picture.paste(Image.fromarray(tile), (x_, y))
    pen = ImageDraw.Draw(picture)
    pen.text((x_of[0], 4), title, INK, title_font)
    for label, y in zip(row_labels, y_of, strict=False):
        pen.text((left - 6, y + H / 2), label, INK, font, anchor="rm")
    for label, x_ in zip(column_labels, x_of, strict=False):
        pen.text((x_ + W / 2, top - 4), label, INK, font, anchor="ms")
    return picture


def pairs(x: Tensor, x_hat: Tensor, *, columns: int | None = None) -> Image.Image:
    """Images x in rows, each row above its reconstructions x_hat; both in [0, 1], shape (N, C, H, W)."""
    N = len(x)
    columns = min(N, columns or max(8, math.ceil(math.sqrt(2 * N))))
    blank = x.new_ones(-N % columns, *x.shape[1:])
    rows = [torch.cat([of, blank]).unflatten(0, (-1, columns)) for of in (x, x_hat.to(x))]
    both = torch.stack(rows, dim=1).flatten(0, 2)  # (rows, 2, columns, ...) to one list of images
    return grid(both, columns=columns, row_labels=["data", "reconstruction"] * len(rows[0]), group=2)


def stack(pictures: Sequence[Image.Image], gap: int = 16) -> Image.Image:
    """Pictures one below the other."""
    height = sum(picture.height for picture in pictures) + gap * (len(pictures) - 1)
    whole = Image.new("RGB", (max(picture.width for picture in pictures), height), "white")
    y = 0
    for picture in pictures:
        whole.paste(picture, (0, y))
        y += picture.height + gap
    return whole


def to_bytes(x: Tensor) -> NDArray[np.uint8]:
    """Images in [0, 1], shape (N, C, H, W), as Pillow takes them: uint8, shape (N, H, W, 1 or 3)."""
    k = (x.detach().cpu().float().nan_to_num(0.0).clamp(0, 1) * 255).round().to(torch.uint8)
    if k.shape[1] not in (1, 3):
        k = torch.cat(k.split(1, dim=1), dim=3)
    return k.permute(0, 2, 3, 1).numpy()


def _tiles(x: Tensor, scale: int | None) -> NDArray[np.uint8]:
    """Enlarged images in colour, uint8, shape (N, H, W, 3)."""
    k = to_bytes(x)
    scale = scale or max(1, round(TILE / max(x.shape[2:])))
    return k.repeat(scale, axis=1).repeat(scale, axis=2).repeat(3 // k.shape[3], axis=3)
