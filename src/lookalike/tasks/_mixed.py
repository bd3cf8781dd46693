"""How well a model's own scores tell odd items, where nobody has any: the odd ones are mixed of held-out items.

    odd         half of each item is another's: half the columns of a row, one half of an image
    odd_items   P(score(item) < score(odd)), the area under the ROC curve

Every part of a mixed item is as in data, so that only what knows what goes together finds it odd. A model has
several scores; which of them tells best is seen on the validation split.
"""

from __future__ import annotations

import contextlib

import torch
from torch import Tensor

from ..data.base import Data, hash_seed
from ..metrics.copying import share_below
from ..models.base import Model
from ..report import Metric
from ..scores.base import UnfitError
from ..scores.seen import Seen
from ..scores.table import SCORES
from ._evidence import SplitName
from .anomaly import fitted

OWN = ("likelihood", "reconstruction", "code-distance", "critic")
"""Scores that are the model's own: the others of `anomaly` go by distances between items too."""
ITEMS = 1000
SPLITS: tuple[SplitName, ...] = ("valid", "test")


def own_scores(model: Model) -> list[str]:
    """The scores that this model gives in some passes."""
    seen, found = Seen(model), []
    for name in OWN:
        with contextlib.suppress(UnfitError):
            found += [name] if SCORES[name](seen).quick else []
    return found


def odd_items(model: Model, data: Data, limit: int | None) -> tuple[dict[SplitName, Metric], str]:
    """The AUROC on both splits, and of which score it is; neither, and why, where there is none.

    Arguments:
        limit: items of each split, `ITEMS` at the most.
    """
    names = own_scores(model)
    if data.spec.dims < 2:
        return {}, "of one column nothing can be mixed"
    if not names:
        return {}, f"{type(model).__name__} has no score for items without a label"
    n = min(ITEMS, limit or ITEMS)
    detector = fitted(model, data, names, 0)
    found: dict[SplitName, dict[str, Metric]] = {}
    for split in SPLITS:
        x, _ = data.splits[split].thinned(n).first(n)
        usual, strange = detector(x).each, detector(mixed(x, data.spec.kind, 0)).each
        how = {"data": data.fingerprint[:12], "split": split, "items": len(x), "odd": "half of each is another's"}
        found[split] = {}
        for name in names:
            value, error = share_below(usual[name], strange[name])
            found[split][name] = Metric(value.item(), "estimate", "AUROC", how, error.item())
    chosen = max(names, key=lambda name: found["valid"][name].value)
    return {split: of[chosen] for split, of in found.items()}, chosen


def mixed(x: Tensor, kind: str, seed: int) -> Tensor:
    """Items of which half is another's, shape of x.

    Arguments:
        x: shape (N, *spec.shape). Of images one of the four halves is taken, of rows half of the columns, drawn anew
            for each.
    """
    N = len(x)
    draw = torch.Generator().manual_seed(hash_seed(seed, "mixed"))
    order = torch.randperm(N, generator=draw)
    other = torch.empty_like(x)
    other[order] = x[order.roll(1)]
    if kind == "images":
        H, W = x.shape[2:]
        down, across = torch.arange(H)[:, None].expand(H, W), torch.arange(W).expand(H, W)
        halves = torch.stack([down < H // 2, down >= H // 2, across < W // 2, across >= W // 2])
        taken = halves[torch.randint(4, (N,), generator=draw)][:, None]
    else:
        D = x.shape[1]
        taken = torch.rand(N, D, generator=draw).argsort(1) < D // 2
    return torch.where(taken, other, x)
