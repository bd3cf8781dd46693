"""One picture file to uint8 pixels: every mode a file may have, at the size and channels asked for.

    1-bit, grey, palette, RGB, CMYK -> as they are;   16 bits -> k / 257;   transparent -> on white;
    EXIF-rotated -> upright;   animated -> the first frame;   another size -> centre crop, then bicubic.

Shrinking is bicubic with antialiasing, as Parmar et al. (2022), "On aliased resizing and surprising
subtleties in GAN evaluation", arXiv:2104.11222, ask for.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from typing import BinaryIO, NamedTuple

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")
"""What is decoded. A closed list: among all that Pillow opens are formats that start other programs."""

SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pbm", ".pnm")

DAMAGE = (
    OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, OverflowError, RuntimeError,
    struct.error, zlib.error, Image.DecompressionBombError,
)  # fmt: skip
"""All that Pillow and the archive readers raise on a damaged picture."""

ROTATED = range(5, 9)
"""EXIF orientations that swap height and width."""

FACTS = {
    "1-bit": "are 1-bit and were turned to grey",
    "palette": "have a palette and were turned to RGB",
    "CMYK": "are CMYK and were turned to RGB",
    "16-bit": "have 16 bits and were scaled to 8",
    "transparent": "are transparent and were laid on white",
    "rotated": "were turned upright as their EXIF says",
    "animated": "are animated: their first frame was taken",
    "resized": "were resized to {size}, and cropped at the edges where that has another shape",
}
"""What may be done to a picture, in the words of a note."""


class Header(NamedTuple):
    """What a file says of itself before it is decoded."""

    height: int
    width: int
    grey: bool


class Decoded(NamedTuple):
    """uint8 pixels of shape (C, H, W), and what is known of them: keys of FACTS, "grey", "binary"."""

    pixels: np.ndarray
    facts: frozenset[str]


def probe(file: BinaryIO) -> Header:
    """The header of a picture file; raises one of DAMAGE where there is none."""
    with Image.open(file, formats=FORMATS) as image:
        grey = image.mode in ("1", "L", "LA", "F") or image.mode.startswith("I")
        size = image.size[::-1]
        height, width = size[::-1] if image.getexif().get(0x0112) in ROTATED else size
        return Header(height, width, grey)


def decode(file: BinaryIO, size: tuple[int, int] | None = None, channels: int = 3) -> Decoded:
    """The pixels of a picture file; raises one of DAMAGE where they cannot be had.

    Arguments:
        size: height and width; None for its own.
        channels: 1 for grey, 3 for RGB.
    """
    facts: set[str] = set()
    with Image.open(file, formats=FORMATS) as image:
        if Image.MAX_IMAGE_PIXELS and image.width * image.height > Image.MAX_IMAGE_PIXELS:
            raise ValueError(f"it claims {image.width}x{image.height} pixels, as a decompression bomb does")
        if getattr(image, "is_animated", False) and image.format != "MPO":
            facts.add("animated")
        if size is not None:
            image.draft(None, (2 * size[1], 2 * size[0]))  # a large JPEG is decoded at half, a quarter, an eighth
        image.load()
        if image.getexif().get(0x0112, 1) not in (0, 1):
            facts.add("rotated")
        plain = _plain(ImageOps.exif_transpose(image), facts)
    if size is not None and plain.size != size[::-1]:
        facts.add("resized")
    pixels = _pixels(plain, size, channels)
    if channels == 1 or (np.array_equal(pixels[0], pixels[1]) and np.array_equal(pixels[0], pixels[2])):
        facts.add("grey")
    if np.isin(pixels.flat[:: 1 + pixels.size // 64], (0, 255)).all() and np.isin(pixels, (0, 255)).all():
        facts.add("binary")  # a look at some spares a look at all
    return Decoded(pixels, frozenset(facts))


def refit(pixels: np.ndarray, size: tuple[int, int], channels: int) -> np.ndarray:
    """uint8 pixels, shape (C, H, W), at another size and with other channels (of 1, 3 or 4 that there are)."""
    if channels == len(pixels):
        return np.concatenate([_pixels(Image.fromarray(channel), size, 1) for channel in pixels])
    image = Image.fromarray(pixels[0] if len(pixels) == 1 else np.ascontiguousarray(pixels.transpose(1, 2, 0)))
    return _pixels(_plain(image, set()), size, channels)


def _pixels(image: Image.Image, size: tuple[int, int] | None, channels: int) -> np.ndarray:
    """The pixels of an L or RGB image at a size, uint8, shape (channels, H, W)."""
    image = image.convert("L" if channels == 1 else "RGB")
    if size is not None and image.size != size[::-1]:
        image = ImageOps.fit(image, size[::-1], Image.Resampling.BICUBIC)
    return np.asarray(image).reshape(image.height, image.width, channels).transpose(2, 0, 1)


def _plain(image: Image.Image, facts: set[str]) -> Image.Image:
    """`image` as L or RGB with 8 bits, opaque."""
    if image.mode == "1":
        facts.add("1-bit")
    elif image.mode == "CMYK":
        facts.add("CMYK")
    elif image.mode == "F" or image.mode.startswith("I"):
        facts.add("16-bit")
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 65535 or image.mode == "F":
            raise ValueError("its intensities are no whole numbers of 8 or 16 bits")
        return Image.fromarray(((values.astype(np.int64) + 128) // 257).astype(np.uint8))
    elif image.mode in ("P", "PA"):
        facts.add("palette")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        if rgba.getchannel("A").getextrema()[0] != 255:
            facts.add("transparent")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image if image.mode in ("1", "L") else image.convert("RGB")


class Decoding:
    """Picture files as the items of a split, decoded when they are taken.

    Arguments:
        names: of the files, one an item.
        opened: the bytes of the file of a name.
        size: height and width.
        channels: 1 or 3.
        levels: 2 where every file is black and white, else 256, or what a trained model takes.
    """

    def __init__(
        self,
        names: list[str],
        opened: Callable[[str], BinaryIO],
        size: tuple[int, int],
        channels: int,
        levels: int,
    ) -> None:
        self.names = names
        self.opened = opened
        self.size = size
        self.channels = channels
        self.levels = levels

    def __len__(self) -> int:
        return len(self.names)

    def take(self, indices: Tensor) -> Tensor:
        """Items as stored, uint8, shape (len(indices), C, H, W)."""
        items = np.empty((len(indices), self.channels, *self.size), np.uint8)
        for place, i in enumerate(indices.tolist()):
            with self.opened(self.names[i]) as file:
                items[place] = decode(file, self.size, self.channels).pixels
        return regrid(torch.from_numpy(items), 256, self.levels)


def regrid(k: Tensor, levels: int, to: int) -> Tensor:
    """Intensities of so many levels, uint8, on the nearest of another number of levels."""
    return k if levels == to else (k.float() * (to - 1) / (levels - 1)).round().to(torch.uint8)
