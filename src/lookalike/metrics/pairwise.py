"""Distances between all pairs of two samples, a block at a time, and nearest neighbours: exact, and fast.

    |a - b|^2 = |a|^2 + |b|^2 - 2 a.b,          a.b - a'.b' = (a - a').b + a'.(b - b')

A product of matrices in few digits (a', b': bfloat16 where the processor multiplies it natively, else float32) gives
every squared distance to within a margin. What the margin leaves open, a pair or two of each item, is decided by
differences in float64. So the answers are those of differences throughout, equal items are at distance 0, and how
fast they come changes with the machine, but not what they are.

The margin is six standard deviations of rounding, of signs taken as independent: the variance of (a - a').b is then
sum_d (a - a')_d^2 b_d^2 <= |a - a'|_4^2 |b|_4^2, and by Hoeffding's inequality a pair is beyond it once in 10^7, which
does harm only to one of the few that are near a threshold. Where |a - a'| |b|, the most there can be, is less, it is
that.

Items with a number that is not finite are infinitely far from all others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

FEW = 16
"""Dimensions in which differences are as fast as products."""
NUMBERS = 2**21
"""Distances held at once: 8 MB in float32."""
SIGMAS = 6
OPEN = 24
"""Pairs an item that are decided one by one; where there are more, all of them are computed by differences."""


@dataclass
class Block:
    """Squared distances of some rows of a to all of b.

    Arguments:
        rows: which rows of a.
        squared: shape (len(rows), len(b)); inf where an item is not finite.
        rounding: what `margin` is made of; None where the distances are by differences.
    """

    rows: range
    squared: Tensor
    rounding: Rounding | None = None

    def margin(self, low: Tensor, high: Tensor) -> Tensor | None:
        """How far about thresholds between low and high a comparison is not sure, shape (len(rows), 1)."""
        if self.rounding is None:
            return None
        of = self.rounding
        # Where a squared distance is the threshold, twice the product is |a|^2 + |b|^2 - threshold.
        product = torch.maximum(of.lengths + of.longest - low, high - of.lengths)
        return of.of_terms + 1.01 * of.of_product * product.clamp(min=0)


@dataclass
class Rounding:
    """How exact products are.

    Arguments:
        of_terms: the most that rounded factors and sums do to a squared distance, shape (len(rows), 1).
        of_product: what storing a product does, relative to it.
        lengths: |a|^2, shape (len(rows), 1).
        longest: the largest |b|^2, shape ().
    """

    of_terms: Tensor
    of_product: float
    lengths: Tensor
    longest: Tensor


class Pairs:
    """All pairs of two samples.

    Arguments:
        a, b: shapes (N, D) and (M, D), of one floating type, on one device.
    """

    def __init__(self, a: Tensor, b: Tensor) -> None:
        self.same = a is b
        # What sums to no finite number has no finite squares either.
        self.bad_a, self.bad_b = (~x.sum(1).isfinite() for x in (a, b))
        self.a, self.b = a, b
        self.by_difference = a.shape[1] <= FEW

    def blocks(self) -> Iterator[Block]:
        """Every row of a, some at a time."""
        size = max(1, NUMBERS // max(1, len(self.b)))
        given = self._by_difference(size) if self.by_difference else self._by_product(size)
        for block in given:
            if self.bad_b.any():
                block.squared[:, self.bad_b] = torch.inf
            if self.bad_a.any():
                block.squared[self.bad_a[block.rows.start : block.rows.stop]] = torch.inf
            yield block

    def exact(self, i: Tensor, j: Tensor) -> Tensor:
        """Squared distances of a[i] to b[j] by differences, summed in float64, shape (len(i),)."""
        size = max(1, 2**17 // self.a.shape[1])  # few enough to stay in a cache
        parts = [
            (self.b[q] - self.a[p]).square_().sum(1, dtype=torch.float64)
            for p, q in zip(i.split(size), j.split(size), strict=True)
        ]
        return torch.cat(parts)

    def exact_block(self, rows: range) -> Block:
        """All squared distances of some rows by differences, float64."""
        a = self.a[rows.start : rows.stop].double()
        parts = [_by_differences(a, part.double()) for part in self.b.split(max(1, 2**22 // self.b.shape[1]))]
        squared = torch.cat(parts, 1)
        squared[:, self.bad_b] = torch.inf
        squared[self.bad_a[rows.start : rows.stop]] = torch.inf
        return Block(rows, squared)

    def _by_difference(self, size: int) -> Iterator[Block]:
        b = self.b.double()
        for start in range(0, len(self.a), size):
            rows = range(start, min(start + size, len(self.a)))
            yield Block(rows, _by_differences(self.a[start : rows.stop].double(), b))

    def _by_product(self, size: int) -> Iterator[Block]:
        short = _short(self.a.device)
        # About the mean of b, where products are smallest, so most exact.
        mean = (self.b[~self.bad_b] if self.bad_b.any() else self.b).mean(0)
        b = _rounded(self.b, self.bad_b, mean, short)
        a = b if self.same else _rounded(self.a, self.bad_a, mean, short)
        unit = torch.finfo(short).eps / 2
        # The largest error of twice a float32 sum of D products, and of the lengths, relative to the lengths.
        summing = (self.b.shape[1] + 8) * torch.finfo(torch.float32).eps
        for start in range(0, len(self.a), size):
            rows = range(start, min(start + size, len(self.a)))
            part = slice(rows.start, rows.stop)
            norm = a.norms[2][part, None]
            squared = (a.x[part] @ b.x.T).float().mul_(-2).add_(b.norms[2].square()).add_(norm.square())
            most = a.lost[2][part, None] * b.norms[2].amax() + norm * b.lost[2].amax()
            deviation = torch.hypot(
                a.lost[4][part, None] * b.norms[4].amax(), a.norms[4][part, None] * b.lost[4].amax()
            )
            longest = b.norms[2].amax()
            of_terms = 2 * torch.minimum(most, SIGMAS * deviation) + summing * norm * longest
            of_product = unit if short != torch.float32 else 0.0
            yield Block(rows, squared, Rounding(1.01 * of_terms, of_product, norm.square(), longest.square()))


def nearest(a: Tensor, b: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Squared distances to the k nearest items of b, float64, rising, and which they are; shapes (N, k).

    Of items that are equally near, the first ones count. Where fewer than k are finite, the rest are inf.

    Arguments:
        a, b: shapes (N, D) and (M, D), M at least k. Where they are the same tensor each item finds itself first.
    """
    pairs = Pairs(a, b)
    found = [_nearest(pairs, block, k) for block in pairs.blocks()]
    distances, which = zip(*found, strict=True)
    return torch.cat(distances), torch.cat(which)


def _nearest(pairs: Pairs, block: Block, k: int) -> tuple[Tensor, Tensor]:
    if block.rounding is None:
        return _first(block.squared, k)
    if len(pairs.b) <= k + OPEN:
        return _first(pairs.exact_block(block.rows).squared, k)
    near, which = block.squared.topk(k + OPEN, dim=1, largest=False)
    kth = near[:, k - 1 : k]
    margin = block.margin(kth, kth)
    assert margin is not None
    could = (near <= kth + 2 * margin) & (near < torch.inf)
    if could[:, -1].any():
        return _first(pairs.exact_block(block.rows).squared, k)
    which = (
        torch.where(could, which, len(pairs.b)).sort(1).values
    )  # in the order of b: the first of equal ones is first
    which = which[:, : max(k, int(could.sum(1).amax()))]
    i, place = (which < len(pairs.b)).nonzero().unbind(1)
    squared = near.new_full(which.shape, torch.inf, dtype=torch.float64)
    squared[i, place] = pairs.exact(i + block.rows.start, which[i, place])
    values, chosen = _first(squared, k)
    return values, which.gather(1, chosen).clamp(max=len(pairs.b) - 1)


def _first(squared: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k smallest of each row, rising, and where they are; of equal ones the first."""
    values, which = squared.topk(k, dim=1, largest=False)
    if bool(((squared <= values[:, -1:]).sum(1) > k).any()) or bool((values.diff() == 0).any()):
        values, which = squared.sort(dim=1, stable=True)
    return values[:, :k], which[:, :k]


@dataclass
class _Rounded:
    """Rows in few digits, shape (N, D); their norms 2 and 4 and those of what was lost, float32, shape (N,)."""

    x: Tensor
    norms: dict[int, Tensor]
    lost: dict[int, Tensor]


def _rounded(x: Tensor, bad: Tensor, mean: Tensor, short: torch.dtype) -> _Rounded:
    """Rows about a mean in few digits; the bad ones are 0."""
    rounded = torch.empty(x.shape, dtype=short, device=x.device)
    norms: dict[int, list[Tensor]] = {2: [], 4: []}
    lost: dict[int, list[Tensor]] = {2: [], 4: []}
    for few, part, wrong in zip(rounded.split(500), x.split(500), bad.split(500), strict=True):
        rows = part - mean
        rows[wrong] = 0.0
        few.copy_(rows)
        for into, of in ((norms, rows), (lost, rows - few.to(x.dtype))):
            into[2].append(torch.linalg.vector_norm(of, dim=1, dtype=torch.float64).float())
            into[4].append(of.square().square_().sum(1).sqrt().sqrt().float())
    return _Rounded(rounded, *({p: torch.cat(of) for p, of in into.items()} for into in (norms, lost)))


def _short(device: torch.device) -> torch.dtype:
    """The type in which this processor multiplies fastest: of those whose rounding `Block.margin` bounds."""
    capable: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)() if device.type == "cpu" else {}
    return torch.bfloat16 if capable.get("avx512_bf16") or capable.get("amx_bf16") else torch.float32


def _by_differences(a: Tensor, b: Tensor) -> Tensor:
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist").square()
