"""Probabilities of a whole small space: they sum to 1, and samples follow them.

    images      all 512 binary images of 3x3
    points      the plane, as a grid
    tables      a number that may be missing, as a grid and a gap, times a category of three

The grid is coarser where p(x) is an average: its noise is the larger error there.

A model of the same recipe is built for the small space, every weight of it at work. Where log_prob is a bound,
exp(log_prob) is, in the mean over the model's own draws, p(x) itself (an importance-weighted average for a VAE, an
average over dequantisation for a flow), and 1 must lie within its standard errors.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..models.base import Bounded, Coded, Explicit, Model, seeded
from ..models.tractable.flow.flow import Flow
from ..spec import Column, Kind, Spec
from .base import Finding, Subject, UnfitError

REPEATS = 16
IMPORTANCE = 4
SPREADS = 5.0
"""Standard errors by which a mean may differ."""
DRAWN = 1000
CHUNK = 4096
NOISY = 0.1
"""A total that is known no better than this says nothing."""
LUMPY = 0.4
"""Share of one draw in an average over all, from which on its standard error is not to be trusted."""


@dataclass(frozen=True)
class Space:
    """Every x of a small space, shape (N, *spec.shape), and the volume each stands for."""

    spec: Spec
    x: Tensor
    volume: Tensor
    said: str


def _images(_coarse: bool) -> Space:
    x = torch.tensor(list(itertools.product([0.0, 1.0], repeat=9)), dtype=torch.float64)
    each = torch.ones(len(x), dtype=torch.float64)
    return Space(Spec("images", (1, 3, 3), 2), x.view(-1, 1, 3, 3), each, "all 512 binary images of 3x3")


def _points(coarse: bool) -> Space:
    cells = 96 if coarse else 320
    columns = (Column("x", mean=1.0, std=2.0), Column("y", mean=-1.0, std=0.5))
    t, lengths = _stretched(cells)
    x = torch.cartesian_prod(*[column.mean + column.std * t for column in columns])
    volume = torch.cartesian_prod(*[column.std * lengths for column in columns]).prod(1)
    said = "the density over the plane"
    return Space(Spec("points", (2,), columns=columns), x, volume, said)


def _table(coarse: bool) -> Space:
    cells = 400 if coarse else 2000
    columns = (Column("a", mean=1.0, std=2.0, missing=True), Column("b", ("u", "v", "w")))
    t, lengths = _stretched(cells)
    gap = torch.tensor([math.nan], dtype=torch.float64)
    x = torch.cartesian_prod(torch.cat([1 + 2 * t, gap]), torch.arange(3, dtype=torch.float64))
    volume = torch.cat([2 * lengths, torch.ones(1, dtype=torch.float64)]).repeat_interleave(3)
    said = "a number, its gap and a category"
    return Space(Spec("table", (2,), columns=columns), x, volume, said)


def _stretched(cells: int) -> tuple[Tensor, Tensor]:
    """Middles and lengths of so many cells of (-100, 100), shape (cells,) each: the further out the longer."""
    end = math.asinh(100.0)
    t = end * (2 * (torch.arange(cells, dtype=torch.float64) + 0.5) / cells - 1)
    return t.sinh(), t.cosh() * 2 * end / cells


SPACES: dict[Kind, Callable[[bool], Space]] = {"images": _images, "points": _points, "table": _table}


def normalised(subject: Subject) -> Finding:
    """How far the probabilities of all there is are from a sum of 1."""
    space, model, repeats = _small(subject)
    totals = torch.stack([p.sum() for p in repeats])
    total = totals.mean().item()
    if len(totals) == 1:
        tolerance = 1e-9 if space.spec.kind == "images" else 1e-3
        return Finding(abs(total - 1), tolerance, f"{space.said}: {total:.10g}")
    error = (totals.std() / math.sqrt(len(totals))).item()
    if error > NOISY:
        raise UnfitError(f"the sum, {total:.3g} ± {error:.2g}, is known too badly to say anything")
    p = torch.stack(repeats)
    largest = (p.amax(0).sum() / p.sum()).item()  # of the repeats of an x, in the mean by p(x)
    if largest > LUMPY:
        raise UnfitError(f"one draw of {REPEATS} makes up {largest:.0%} of a probability: their spread says nothing")
    note = f"{space.said}: {total:.4f} ± {error:.4f}, in the mean of {REPEATS}"
    if isinstance(model, Flow):
        # A flow has mass beyond the outermost bins, which belongs to no x: less than 1 is right.
        return Finding(max(0.0, total - 1), SPREADS * error + 1e-3, f"{note}; what is beyond the bins is nobody's")
    return Finding(abs(total - 1), SPREADS * error + 1e-3, note)


def drawn(subject: Subject) -> Finding:
    """By how many standard errors samples at temperature 1 differ from p(x) in the mean of what is looked at."""
    space, model, repeats = _small(subject)
    if isinstance(model, Flow) and not model.exact:
        raise UnfitError("samples of a flow beyond the outermost bins are moved into them")
    p = torch.stack(repeats).mean(0)
    with torch.inference_mode():
        x = model.sample(DRAWN, _labels(model, DRAWN), seed=subject.seed).double()
        seen, all_ = _looked_at(x), _looked_at(space.x)
        if model.exact:
            # The mean of log p(x) is minus the entropy: one number that every fault of a sampler moves.
            seen = torch.cat([seen, _log_prob(model, x, 1)[:, None]], 1)
            all_ = torch.cat([all_, (p.clamp(min=1e-300) / space.volume).log()[:, None]], 1)
    expected = (p / p.sum()) @ all_
    # The repeats are of one grid: what is left of their noise is in `expected`.
    noise = (
        torch.stack([(q / q.sum()) @ all_ for q in repeats]).std(0) / math.sqrt(len(repeats)) if len(repeats) > 1 else 0
    )
    error = (seen.var(0) / DRAWN + noise**2).sqrt().clamp(min=1e-6)
    worst = ((seen.mean(0) - expected).abs() / error).max().item()
    return Finding(worst, SPREADS, f"standard errors, {DRAWN} samples against p(x) of {space.said}")


def _looked_at(x: Tensor) -> Tensor:
    """Numbers of each item whose means are compared, (N, F): entries, gaps, products of neighbours."""
    x = x.flatten(1)
    there = x.nan_to_num(0.0)
    return torch.cat([there, x.isnan().double(), there * there.roll(1, 1)], 1)


@functools.lru_cache(maxsize=1)  # two audits one after the other ask for the same
def _small(subject: Subject) -> tuple[Space, Explicit, list[Tensor]]:
    """A small space, a model of it, and p(x) times the volume, shape (N,): once where it is exact, else several
    unbiased estimates."""
    if not isinstance(subject.model, Explicit):
        raise UnfitError(f"{type(subject.model).__name__} has no density")
    if isinstance(subject.model, Coded):
        raise UnfitError(
            f"{type(subject.model).__name__} weighs one code of each x, so that no average of its bound is p(x)"
        )
    if subject.small is None:
        raise UnfitError("it is made of networks of your own, which are of one size")
    coarse = not subject.model.exact
    space = SPACES[subject.model.spec.kind](coarse)
    model = subject.small(space.spec)
    assert isinstance(model, Explicit)
    if model.exact:  # else rounding is far below the noise, and float32 is ten times as fast in convolutions
        model = model.double()
    with torch.inference_mode(), seeded(subject.seed, model.device):
        return (
            space,
            model,
            [_log_prob(model, space.x, IMPORTANCE).exp() * space.volume for _ in range(1 if model.exact else REPEATS)],
        )


def _log_prob(model: Explicit, x: Tensor, importance: int) -> Tensor:
    y = _labels(model, CHUNK)
    found = []
    for part in x.split(CHUNK):
        label = None if y is None else y[: len(part)]
        if isinstance(model, Bounded) and not isinstance(model, Flow):
            found.append(model.log_prob(part, label, samples=importance))
        else:
            found.append(model.log_prob(part, label))
    return torch.cat(found).double()


def _labels(model: Model, n: int) -> Tensor | None:
    """The last label for all: p(x | y) is a distribution for each y."""
    return torch.full((n,), len(model.spec.classes) - 1) if model.conditional else None
