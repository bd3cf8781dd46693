"""Pictures of one shape, from an array or from files, to Data: the size where none is asked for, three splits.

The fingerprint is over the digests of the items as stored, split by split, so that it is the same
however the same pictures were read.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from ..errors import UserError
from ..spec import Spec
from .arrays import Told, classes_of, stored
from .base import Data, InMemory, Part, Source, Split, at_odds, hash_seed, sixteen_bits
from .decoding import Decoding, refit, regrid
from .splits import split_indices

LARGEST = 128
"""Pixels a side up to which a picture keeps its size unless another is asked for."""

SMALLEST = 4
"""Pixels a side below which there is no picture."""

SHRUNK = 64
"""The longer side of pictures that are larger than that."""

BINARIZED = {
    "dynamic": "binarized: each pixel is drawn anew each time it is seen, P(1) = intensity",
    "threshold": "binarized: a pixel is 1 from half the range up",
    "fixed-seed": "binarized: each pixel was drawn once, by the seed of the split, P(1) = intensity",
}

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Pictures:
    """Pictures of one shape as stored, before they are split.

    Arguments:
        source: uint8 k in 0 ... levels - 1, each of `shape`.
        digests: of the items, bytes, one an item.
        parts: train, valid and test indices where the data comes split; None where it does not.
        names: of the items, where they are files.
    """

    source: Source
    shape: tuple[int, int, int]
    levels: int
    digests: list[bytes]
    y: Tensor | None = None
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    parts: tuple[Tensor, Tensor, Tensor] | None = None
    names: tuple[str, ...] = ()


def array_pictures(
    array: np.ndarray,
    where: str,
    labels: Any = None,
    size: tuple[int, int] | None = None,
    channels: int | None = None,
    told: Told | None = None,
) -> Pictures:
    """Pictures of an array, shape (N, H, W), (N, C, H, W) or (N, H, W, C), and their labels, shape (N,)."""
    x, levels, notes = stored(array, where, told.levels if told else None)
    y, classes, said = classes_of(labels, len(x), where)
    C, H, W = x.shape[1:]
    pictures = Pictures(
        InMemory(x), (C, H, W), levels, digests_of(x), y, classes, (*notes, *said), _parts(told, where, len(x))
    )
    return fitted(pictures, where, size or default_size(Counter({(H, W): len(x)})), channels)


def _parts(told: Told | None, where: str, n: int) -> tuple[Tensor, Tensor, Tensor] | None:
    if told is None:
        return None
    if len(told.split) != n:
        raise UserError(f"{where} has {n} pictures but a split of {len(told.split)}; give one number a picture.")
    train, valid, test = (torch.from_numpy(np.flatnonzero(told.split == i)) for i in range(3))
    return train, valid, test


def fitted(
    pictures: Pictures, where: str, size: tuple[int, int] | None = None, channels: int | None = None
) -> Pictures:
    """Pictures in memory at another size and with other channels, where these are asked for and differ."""
    C, H, W = pictures.shape
    size, channels = size or (H, W), channels or C
    if (channels, *size) == pictures.shape or not isinstance(pictures.source, InMemory):
        return pictures
    if channels != C and (C not in (1, 3, 4) or channels not in (1, 3)):
        raise UserError(f"{where} has {C} channels, which cannot be made {channels}.")
    notes = list(pictures.notes)
    if size != (H, W):
        notes.append(f"all {len(pictures.source)} pictures were resized from {H}x{W} to {size[0]}x{size[1]}")
    if channels != C:
        notes.append(
            f"{count(C, 'channel')} turned into {channels}" + (", what is transparent on white" if C == 4 else "")
        )
    # Between two levels there has to be a place for what lies between two pixels.
    k = regrid(pictures.source.items, pictures.levels, 256).numpy()
    x = torch.from_numpy(np.stack(parallel(lambda i: refit(k[i], size, channels), range(len(k)))))
    return dataclasses.replace(
        pictures, source=InMemory(x), shape=(channels, *size), levels=256, digests=digests_of(x), notes=tuple(notes)
    )


def with_levels(pictures: Pictures, levels: int) -> Pictures:
    """Pictures on another number of levels: that of the pictures a model was trained on."""
    if levels == pictures.levels:
        return pictures
    source = pictures.source
    if isinstance(source, InMemory):
        source = InMemory(regrid(source.items, pictures.levels, levels))
    elif isinstance(source, Decoding):
        source = Decoding(source.names, source.opened, source.size, source.channels, levels)
    note = f"{pictures.levels} levels were turned into {levels}"
    return dataclasses.replace(pictures, source=source, levels=levels, notes=(*pictures.notes, note))


def with_classes(pictures: Pictures, classes: tuple[str, ...]) -> Pictures:
    """Pictures labelled by the classes a model knows; without labels where these are not among them."""
    if pictures.y is None or pictures.classes == classes:
        return pictures
    if not set(pictures.classes) <= set(classes):
        notes = (*pictures.notes, "the labels are not those the model knows: left out") if classes else pictures.notes
        return dataclasses.replace(pictures, y=None, classes=(), notes=notes)
    known = torch.tensor([classes.index(name) for name in pictures.classes])
    return dataclasses.replace(pictures, y=known[pictures.y], classes=classes)


def split_pictures(
    pictures: Pictures,
    name: str,
    *,
    binarize: str | None = None,
    split: tuple[float, ...] | None = None,
    seed: int = 0,
    cut: Callable[..., tuple[Tensor, Tensor, Tensor]] = split_indices,
) -> Data:
    """Train, valid and test of pictures; of data that comes split, the splits it comes with."""
    if pictures.parts is not None and split is not None:
        raise UserError(f"{name} comes with its own train, valid and test splits; leave out split.")
    parts = pictures.parts or cut(len(pictures.source), split, seed, f"pictures in {name}")
    if binarize == "fixed-seed":
        pictures = drawn_once(pictures, seed)
    if min(pictures.shape[1:]) < SMALLEST:
        raise UserError(
            f"{name} holds pictures of {pictures.shape[1]}x{pictures.shape[2]} pixels, where a side needs at least "
            f"{SMALLEST}: make them larger with --size, or give the numbers as rows."
        )
    spec = Spec("images", pictures.shape, 2 if binarize else pictures.levels, pictures.classes)
    how = [spec.to_json(), pictures.levels, binarize, *([seed] if binarize == "fixed-seed" else [])]
    digest = hashlib.blake2b(json.dumps(how).encode(), digest_size=16)
    for chosen in parts:
        digest.update(b"".join(pictures.digests[i] for i in chosen.tolist()))
        digest.update(b"" if pictures.y is None else pictures.y[chosen].numpy().tobytes())
    train, valid, test = (_split(pictures, chosen, binarize) for chosen in parts)
    order = torch.cat(parts)
    return Data(
        name=name,
        spec=spec,
        train=train,
        valid=valid,
        test=test,
        notes=(*pictures.notes, *([BINARIZED[binarize]] if binarize else [])),
        fingerprint=digest.hexdigest(),
        order=order,
        names=tuple(pictures.names[i] for i in order.unique().tolist()) if pictures.names else (),
    )


def drawn_once(pictures: Pictures, seed: int) -> Pictures:
    """Binary pictures, each pixel drawn once with P(1) = intensity, by the seed and its picture's place."""
    source = Drawn(pictures.source, pictures.levels, seed)
    kept = InMemory(source.take(torch.arange(len(source)))) if isinstance(pictures.source, InMemory) else source
    return dataclasses.replace(pictures, source=kept, levels=2)


@dataclass(frozen=True)
class Drawn:
    """Pictures of a source made black and white, always the same."""

    source: Source
    levels: int
    seed: int

    def __len__(self) -> int:
        return len(self.source)

    def take(self, indices: Tensor) -> Tensor:
        k = self.source.take(indices)
        bits = torch.stack([sixteen_bits(k.shape[1:], hash_seed(self.seed, i)) for i in indices.tolist()])
        return (bits < at_odds(k, self.levels)).to(torch.uint8)


def default_size(sizes: Counter[tuple[int, int]]) -> tuple[int, int]:
    """Height and width for pictures of these sizes, where none was asked for.

    The most common size where at least half have it, its longer side shrunk to 64 where that is above 128;
    else a square of the median side, a multiple of 8 from 8 to 64.
    """
    if not sizes:
        return SHRUNK, SHRUNK
    (H, W), count = sizes.most_common(1)[0]
    if 2 * count >= sizes.total():
        scale = SHRUNK / max(H, W) if max(H, W) > LARGEST else 1.0
        return (H, W) if scale == 1 else (_eighth(H * scale), _eighth(W * scale))
    median = float(np.median([min(size) for size in sizes.elements()]))
    return _eighth(min(median, SHRUNK)), _eighth(min(median, SHRUNK))


def _eighth(side: float) -> int:
    """The multiple of 8 nearest to `side`, at least 8: what networks halve without a rest."""
    return max(8, 8 * round(side / 8))


def digests_of(x: Tensor) -> list[bytes]:
    """Of each item, uint8, shape (N, C, H, W)."""
    return [digest(item) for item in x.numpy()]


def digest(pixels: np.ndarray) -> bytes:
    """Of one item as stored."""
    return hashlib.blake2b(pixels.tobytes(), digest_size=16).digest()


def parallel(work: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """`work` of each item in order, in threads: decoding and resizing release the interpreter's lock."""
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        return list(pool.map(work, items))


def _split(pictures: Pictures, indices: Tensor, binarize: str | None) -> Split:
    whole = pictures.source
    source = InMemory(whole.take(indices)) if isinstance(whole, InMemory) else Part(whole, indices)
    y = None if pictures.y is None else pictures.y[indices]
    return Split(source, y, levels=pictures.levels, binarize=binarize)


def count(n: int, what: str) -> str:
    """``"1 picture"``, ``"2 pictures"``."""
    return f"{n} {what}{'s' * (n != 1)}"
