"""Several scores as one, and what it says on held-out items: how often one would be wrong to call an item odd.

    total(x)     mean over scores of (score - median) / (upper - lower quartile), of held-out items
    p(x)         (1 + items held out that are at least as odd) / (1 + items held out)       a conformal p-value

p is the chance that an item like the training items is at least as odd as x: flagging p <= a raises a false alarm on a
share a of such items. Vovk et al. (2005), "Algorithmic learning in a random world", chapter 2. With known outliers the
scores are weighed by what tells those from training items (`exposure`), in place of the mean.

Ranks in place of quartiles would make far and very far alike: on 23 tables of ADBench that costs half a point of AUROC
with normal items alone to learn from, and more than one with all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..models.base import Model
from ..spec import Kind
from .base import Score, UnfitError
from .exposure import Exposure
from .seen import Seen
from .table import SCORES

ROWS = ("neighbours", "crowd", "forest", "surface", "surface-crowd")
DEFAULT: Mapping[Kind, tuple[str, ...]] = {"table": ROWS, "points": ROWS, "images": ("neighbours", "surface")}
"""Of these, those that a model can give in some passes. Of images a crowd is blurred: with one digit of MNIST left out
its AUROC is 63 % and that of neighbours 77 %, on clothes both have 91 to 92 %."""

LEARNT_FROM = 2000
"""Training items that known outliers are told from."""


class Scored(NamedTuple):
    """What is said of N items.

    Arguments:
        total: how odd, 0 for the middle of held-out items, shape (N,); with known outliers the logit of P(odd).
        p: of a false alarm, shape (N,).
        each: by score, in its own unit, shape (N,).
    """

    total: Tensor
    p: Tensor
    each: dict[str, Tensor]


class Detector:
    """Scores of a model as one.

    Arguments:
        model: trained, in eval mode.
        names: of `SCORES`; None for those of `DEFAULT` that the model can give.
        seed: of whatever is drawn.

    Raises:
        UnfitError: a score that was named is not for this model.
    """

    def __init__(self, model: Model, names: Sequence[str] | None = None, seed: int = 0) -> None:
        self.seen = Seen(model, seed)
        self.scores: dict[str, Score] = {}
        self.left_out: dict[str, str] = {}
        for name in names or DEFAULT[model.spec.kind]:
            try:
                score = SCORES[name](self.seen)
                if not (names or score.quick):
                    raise UnfitError("its codes are searched for, which takes long: ask for it by name")
                self.scores[name] = score
            except UnfitError as why:
                if names:
                    raise
                self.left_out[name] = str(why)
        self.middle: dict[str, tuple[Tensor, Tensor]] = {}
        self.totals = torch.empty(0)
        self.exposure: Exposure | None = None

    def fit(self, x: Tensor, held_out: Tensor, outliers: Tensor | None = None) -> None:
        """Take what the scores need of training items, and how odd items held out are.

        Arguments:
            x, held_out: in the user's units, both (N, *spec.shape).
            outliers: known to be odd, (M, *spec.shape).
        """
        for score in self.scores.values():
            score.fit(x)
        each = self._each(held_out)
        self.middle = {name: _middle(found) for name, found in each.items()}
        if outliers is not None:
            self.exposure = Exposure(self.seen, held_out, outliers)
            normal = x[:: max(1, len(x) // LEARNT_FROM)]
            self.exposure.learn(*(self._features(items, self._each(items)) for items in (normal, outliers)))
        self.totals = self._total(held_out, each).sort().values

    def __call__(self, x: Tensor) -> Scored:
        """How odd items in the user's units are, shape (N, *spec.shape), on any device."""
        each = self._each(x)
        total = self._total(x, each)
        n = len(self.totals)
        as_odd = n - torch.searchsorted(self.totals, total)
        return Scored(total, (1 + as_odd) / (1 + n), each)

    def parts(self, x: Tensor) -> Tensor | None:
        """The share of each pixel or column in what is odd, shape of x, in the mean over scores that tell; or None."""
        scores = [score for score in self.scores.values() if score.explains]
        if not scores:
            return None

        def shares(part: Tensor) -> Tensor:
            of = torch.stack([score.parts(part).flatten(1) for score in scores])
            return (of / of.sum(2, keepdim=True).clamp(min=1e-300)).mean(0).unflatten(1, part.shape[1:])

        return self.seen.every(x, shares)

    def _each(self, x: Tensor) -> dict[str, Tensor]:
        """All scores of a chunk before those of the next: they share what they ask of the same items."""
        found: dict[str, list[Tensor]] = {name: [] for name in self.scores}
        for part in self.seen.chunks(x):
            for name, score in self.scores.items():
                found[name].append(self.seen.drawn(score.score, part))
        return {name: torch.cat(of) for name, of in found.items()}

    def scaled(self, each: dict[str, Tensor]) -> Tensor:
        """Scores in quartile distances from the median, (N, scores)."""
        scaled = []
        for name, found in each.items():
            median, spread = self.middle[name]
            scaled.append((found - median) / spread)
        return torch.stack(scaled, dim=1)

    def _features(self, x: Tensor, each: dict[str, Tensor]) -> Tensor:
        """What exposure learns from, (N, scores + 1): far and very far are less unlike than near and far."""
        assert self.exposure is not None
        scaled = self.scaled(each)
        near = -(self.exposure.near(x) / self.exposure.usual.clamp(min=1e-9)).log1p()
        return torch.cat([scaled.sign() * scaled.abs().log1p(), near[:, None]], dim=1)

    def _total(self, x: Tensor, each: dict[str, Tensor]) -> Tensor:
        return self.scaled(each).mean(1) if self.exposure is None else self.exposure(self._features(x, each))


def _middle(found: Tensor) -> tuple[Tensor, Tensor]:
    """Median of a score, and the distance between its quartiles, or its deviation where they are one."""
    lower, median, upper = found.quantile(found.new_tensor([0.25, 0.5, 0.75]))
    spread = upper - lower if upper > lower else found.std(correction=0)
    return median, spread.clamp(min=1e-12)
