"""Faults of the data themselves, which no training can make good: looked for once, on the items as they are stored.

    duplicates     share of training items that are there already
    leaked         share of validation and test items that are training items too
    expected       what `leaked` would be by the duplicates alone: rows of a few categories are often alike
    stuck          pixels that never change, among neighbours which all do
    one_value      share of the training items that equal the most frequent one
    dims           numbers in an item, which is no fault: what logits are measured by

Equal items are told by a hash of what is stored, before any binarisation.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ..data.base import Data, InMemory, Split

MOST = 20_000  # items of a split that are looked at
VARIES = 0.05  # deviation of intensities from which on a pixel does vary


def flaws(data: Data, *, decode: bool = False) -> dict[str, float]:
    """The figures of the data, by name; where items are in files, only its dimensions unless they are to be decoded."""
    if not (decode or all(isinstance(split.source, InMemory) for split in data.splits.values())):
        return {"dims": float(data.spec.dims)}
    train, *held = (_stored(split) for split in data.splits.values())
    keys, counts = _keys(train).unique(return_counts=True)
    unseen = torch.cat([_keys(items) for items in held])
    found = {
        "dims": float(data.spec.dims),
        "leaked": float(torch.isin(unseen, keys).float().mean()),
        "expected": float(counts[counts > 1].sum()) / len(train),
    }
    if data.spec.kind != "table":  # whose rows may be alike with every right
        found |= {"duplicates": 1 - len(keys) / len(train), "one_value": float(counts.max()) / len(train)}
    if data.spec.kind == "images":
        found["stuck"] = float(_stuck(train.float() / max(1, data.spec.levels - 1)))
    return found


def _stored(split: Split) -> Tensor:
    part = split.thinned(MOST)
    return part.source.take(torch.arange(len(part))).cpu()


def _keys(items: Tensor) -> Tensor:
    """A number for each item, shape (N,), int64: equal items have equal ones, others do not (but for one in 10^19)."""
    numbers = items.flatten(1)
    if numbers.is_floating_point():
        numbers = (numbers.double() + 0.0).view(torch.int64)  # -0 is 0
    draw = torch.Generator().manual_seed(0)
    odd = torch.randint(-(2**62), 2**62, (numbers.shape[1],), generator=draw) * 2 + 1
    return torch.cat([((part.long() ^ (part.long() >> 29)) * odd).sum(1) for part in numbers.split(1000)])


def _stuck(x: Tensor) -> Tensor:
    """How many pixels of images, (B, C, H, W), are constant while all eight around them vary."""
    if min(x.shape[2:]) < 3:
        return torch.tensor(0)
    std = x.std(0, correction=0)[:, None]
    least_around = -F.max_pool2d(-std.masked_fill(std == 0, 1.0), 3, 1)  # the constant middle itself aside
    constant_around = F.avg_pool2d((std == 0).float(), 3, 1) * 9
    middle = std[..., 1:-1, 1:-1] == 0
    return (middle & (least_around > VARIES) & (constant_around.round() == 1)).sum()
