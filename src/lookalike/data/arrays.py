"""Arrays of pictures: read from IDX, .npy and .npz, and told how they are stored.

An array says little of itself, so what is not said is inferred, and what cannot be inferred is refused:

    0/1, or two values 0 and 255             levels 2
    whole numbers 0 ... m, m <= 16           levels m + 1 (scikit-learn's digits have 17)
    uint8, or numbers 0 ... 255              levels 256
    numbers 0 ... 1                          levels 256, k = round(255 x)
    whole numbers 0 ... 65535                levels 256, k = round(x / 257)

The channels of (N, ., ., .) are the smaller of the axes 1 and 3. An .npz may say more of itself (`Told`).
"""

from __future__ import annotations

import gzip
import math
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..errors import UserError
from .files import refuse_bomb

ITEMS = ("x", "images", "data", "arr_0")
LABELS = ("y", "labels", "label")

IDX_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


class Stored(NamedTuple):
    """Pictures as stored: uint8 k in 0 ... levels - 1, shape (N, C, H, W)."""

    x: Tensor
    levels: int
    notes: list[str]


class Told(NamedTuple):
    """What an .npz says of its pictures beside x and y: `levels`, and of which `split` each is, (N,): 0 train, 1 valid,
    2 test. Codes of a model are written so: a level may be in no item, and what was held out is to stay so."""

    levels: int
    split: np.ndarray


def stored(array: np.ndarray, where: str, levels: int | None = None) -> Stored:
    """An array of pictures as it is stored.

    Arguments:
        array: shape (N, H, W), (N, C, H, W) or (N, H, W, C), of any dtype of numbers.
        where: the array, in the words of an error.
        levels: of its numbers 0 ... levels - 1, where that is known.

    Raises:
        UserError: a shape, dtype or range that makes no pictures.
    """
    if array.ndim == 3:
        array = array[:, None]
    elif array.ndim != 4 or array.shape[1] == array.shape[3]:
        raise UserError(
            f"{where} has shape {array.shape}, which is not that of pictures: (N, H, W), or (N, C, H, W) or "
            "(N, H, W, C) with fewer channels than pixels a side."
        )
    elif array.shape[3] < array.shape[1]:
        array = array.transpose(0, 3, 1, 2)
    if array.dtype.kind not in "biuf":
        raise UserError(
            f"{where} has dtype {array.dtype}, which is not that of pictures; use uint8, or floats in [0, 1]."
        )
    if array.size == 0:
        raise UserError(f"{where} has shape {array.shape}: there is nothing in it.")
    if levels is not None:
        if array.dtype.kind not in "iu" or array.min() < 0 or array.max() >= levels:
            raise UserError(f"{where} should hold whole numbers from 0 to {levels - 1}, as its levels say.")
        return Stored(torch.from_numpy(np.ascontiguousarray(array.astype(np.uint8))), levels, [])
    k, levels, notes = _levels(array, where)
    return Stored(torch.from_numpy(np.ascontiguousarray(k)), levels, notes)


def _levels(array: np.ndarray, where: str) -> tuple[np.ndarray, int, list[str]]:
    real = array.dtype.kind == "f"
    if real and not np.isfinite(array).all():
        bad = int((~np.isfinite(array)).sum())
        raise UserError(f"{where} has {bad} values that are NaN or infinite; replace them before it is used.")
    low, high = float(array.min()), float(array.max())
    whole = not real or bool((array == np.floor(array)).all())
    if low < 0 or high > (65535 if whole else 255):
        raise UserError(
            f"{where} goes from {low:g} to {high:g}; pictures are floats in [0, 1] or whole numbers from 0 to 255"
            + (": give (x + 1) / 2." if low >= -1 and high <= 1 else ", so scale it first.")
        )
    if low == high:
        raise UserError(f"{where} has the same value {low:g} in every pixel: there is nothing to learn.")
    if whole and high == 255 and bool(((array == 0) | (array == 255)).all()):
        return (array == 255).astype(np.uint8), 2, ["only 0 and 255 occur: stored as 2 levels"]
    if whole and high <= 16:
        levels = int(high) + 1
        notes = [f"nothing is above {high:g}: stored as {levels} levels"] if levels > 2 else []
        return array.astype(np.uint8), levels, notes
    if not whole and high <= 1:
        return np.rint(array * 255).astype(np.uint8), 256, ["floats in [0, 1] were rounded to 256 levels"]
    if high <= 255:
        notes = [] if whole else ["floats in [0, 255] were rounded to 256 levels"]
        return (array if whole else np.rint(array)).astype(np.uint8), 256, notes
    return np.rint(array / 257).astype(np.uint8), 256, [f"intensities up to {high:g} were scaled from 16 to 8 bits"]


def classes_of(labels: Any, n: int, where: str) -> tuple[Tensor | None, tuple[str, ...], list[str]]:
    """Labels as indices y, shape (n,), the names of the classes, and what was done with them.

    Classes are sorted, by number where all are numbers. Labels that are no whole numbers or words are
    not classes: they are left out, and that is said. None stands for no labels.
    """
    if labels is None:
        return None, (), []
    array = np.asarray(labels)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1 or len(array) != n:
        raise UserError(f"{where} has {n} pictures but labels of shape {array.shape}; give one label a picture.")
    if array.dtype.kind == "O":
        if missing := sum(label is None or label != label for label in array):
            raise UserError(f"{where} lacks the labels of {missing} of its {n} pictures; give one label a picture.")
        array = array.astype(str)
    if array.dtype.kind == "f":
        if not (np.isfinite(array).all() and (array == np.floor(array)).all()):
            return None, (), ["the labels are not whole numbers or words: left out"]
        array = array.astype(np.int64)
    names, y = np.unique(array, return_inverse=True)
    if names.dtype.kind in "US" and all(str(name).isdecimal() for name in names):
        order = np.argsort(names.astype(np.int64), kind="stable")
        names, y = names[order], np.argsort(order)[y]
    return torch.from_numpy(y.astype(np.int64)), tuple(map(str, names.tolist())), []


def read_npy(path: Path) -> np.ndarray:
    """The array of a .npy file, mapped into memory rather than read."""
    try:
        return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except (ValueError, EOFError, OSError) as error:
        raise _unreadable(path, error) from None


def read_npz(path: Path) -> tuple[np.ndarray, np.ndarray | None, Told | None]:
    """The items and labels of a .npz file, and what it says of them.

    Raises:
        UserError: several arrays could be the items or the labels, or none; pickled objects.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            refuse_bomb(path, sum(info.file_size for info in archive.infolist()), path.stat().st_size)
        with np.load(path, allow_pickle=False) as arrays:
            names = list(arrays)
            told = _told(path, arrays) if {"levels", "split"} <= set(names) else None
            items = names if len(names) == 1 else _named(names, ITEMS)
            labels = _named(names, LABELS)
            if len(items) != 1 or len(labels) > 1:
                raise UserError(
                    f"{path} has the arrays {', '.join(names)}; save the items as the one array 'x' and their labels, "
                    "if any, as the one array 'y'."
                )
            return arrays[items[0]], arrays[labels[0]] if labels and labels != items else None, told
    except UserError:
        raise
    except (ValueError, EOFError, OSError, zlib.error, zipfile.BadZipFile) as error:
        raise _unreadable(path, error) from None


def is_idx(path: Path) -> bool:
    """Whether a file is named as IDX files are."""
    name = path.name.lower().removesuffix(".gz")
    return name.endswith(".idx") or any(name.endswith(f"idx{n}-ubyte") for n in (1, 2, 3, 4))


def read_idx(path: Path) -> np.ndarray:
    """The array of an IDX file, the format of MNIST, gzipped or not."""
    try:
        with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
            return parse_idx(file, str(path), path.stat().st_size)
    except (EOFError, OSError, zlib.error, struct.error) as error:
        raise _unreadable(path, error) from None


def parse_idx(file: BinaryIO | gzip.GzipFile, where: str, packed: int) -> np.ndarray:
    """The array in an IDX stream: two zeros, its dtype, its dimensions, then all its numbers.

    Arguments:
        packed: bytes of the file it comes from, to refuse one that claims to hold far more.
    """
    zeros, code, ndim = struct.unpack(">HBB", file.read(4))
    if zeros or code not in IDX_TYPES or not 1 <= ndim <= 4:
        raise UserError(f"{where} is not an IDX file: it does not begin as one does.")
    shape = struct.unpack(f">{ndim}I", file.read(4 * ndim))
    dtype = np.dtype(IDX_TYPES[code])
    expected = math.prod(shape) * dtype.itemsize
    refuse_bomb(where, expected, packed)
    content = file.read(expected + 1)
    if len(content) != expected:
        raise UserError(
            f"{where} should hold {expected} bytes for its shape {shape}, but is "
            f"{'cut short' if len(content) < expected else 'longer'}; get it again."
        )
    return np.frombuffer(content, dtype).reshape(shape)


def idx_labels(path: Path) -> Path | None:
    """The labels that lie beside a file of pictures in the naming of MNIST, where they do."""
    beside = path.with_name(path.name.replace("images", "labels").replace("idx3", "idx1"))
    return beside if beside != path and beside.is_file() else None


def _told(path: Path, arrays: Mapping[str, np.ndarray]) -> Told:
    levels, split = arrays["levels"], arrays["split"]
    sound = levels.dtype.kind in "iu" and levels.shape == () and 2 <= int(levels) <= 256 and split.ndim == 1
    if not sound or set(np.unique(split).tolist()) != {0, 1, 2}:
        raise UserError(
            f"{path} should have levels, one whole number from 2 to 256, and split, 0, 1 or 2 for each item (train, "
            "valid, test), each at least once; or neither."
        )
    return Told(int(levels), split)


def _named(names: list[str], wanted: tuple[str, ...]) -> list[str]:
    return [name for name in names if name.lower() in wanted]


def _unreadable(path: Path, error: Exception) -> UserError:
    why = str(error)
    if "contains pickled" in why:  # what NumPy takes all for that does not begin as its files do
        why = "it is no NumPy file, or it is pickled objects, which could run code"
    elif "bjects" in why or "Object" in why:
        why = "it holds pickled objects, which could run code"
    return UserError(f"{path} cannot be read ({why}); save it anew as plain numbers.")
