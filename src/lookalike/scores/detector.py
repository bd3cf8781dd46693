"""Several scores as one, and what it says on held-out items: how often one would be wrong to call an item odd.

    total(x)     mean over scores of the share of held-out items that x is odder than
    p(x)         (1 + items held out that are at least as odd) / (1 + items held out)       a conformal p-value

p is the chance that an item like the training items is at least as odd as x: flagging p <= a raises a false alarm on a
share a of such items. Vovk et al. (2005), "Algorithmic learning in a random world", chapter 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..models.base import Model
from .base import Score, UnfitError
from .table import SCORES

DEFAULT = ("neighbours", "crowd", "reconstruction", "code-distance", "likelihood", "critic")
"""Of these, those that a model can give."""

TIE = 1e-6
"""Weight of how far beyond all held-out items an item lies, which no rank says."""


class Scored(NamedTuple):
    """What is said of N items.

    Arguments:
        total: how odd, from 0 to 1 and little beyond, shape (N,).
        p: of a false alarm, shape (N,).
        each: by score, in its own unit, shape (N,).
    """

    total: Tensor
    p: Tensor
    each: dict[str, Tensor]


class Detector:
    """Scores of a model as one.

    Arguments:
        names: of `SCORES`; None for those of `DEFAULT` that the model can give.

    Raises:
        UnfitError: a score that was named is not for this model.
    """

    def __init__(self, model: Model, names: Sequence[str] | None = None, seed: int = 0) -> None:
        self.scores: dict[str, Score] = {}
        self.left_out: dict[str, str] = {}
        for name in names or DEFAULT:
            try:
                self.scores[name] = SCORES[name](model, seed)
            except UnfitError as why:
                if names:
                    raise
                self.left_out[name] = str(why)
        self.known: dict[str, Tensor] = {}
        self.totals = torch.empty(0)

    def fit(self, x: Tensor, held_out: Tensor) -> None:
        """Take what the scores need of training items, and how odd items held out are; both (N, *spec.shape)."""
        for score in self.scores.values():
            score.fit(x)
        each = self._each(held_out)
        self.known = {name: found.sort().values for name, found in each.items()}
        self.totals = self._total(each).sort().values

    def __call__(self, x: Tensor) -> Scored:
        """How odd items in the user's units are, shape (N, *spec.shape), on any device."""
        each = self._each(x)
        total = self._total(each)
        n = len(self.totals)
        as_odd = n - torch.searchsorted(self.totals, total)
        return Scored(total, (1 + as_odd) / (1 + n), each)

    def parts(self, x: Tensor) -> Tensor | None:
        """What each pixel or column adds, of the first score that says."""
        for score in self.scores.values():
            if score.parts(x[:1].to(score.model.device)) is not None:
                return score.chunked(x, lambda part, score=score: score.parts(part))  # type: ignore[misc]
        return None

    def _each(self, x: Tensor) -> dict[str, Tensor]:
        return {name: score.chunked(x, score.score) for name, score in self.scores.items()}

    def _total(self, each: dict[str, Tensor]) -> Tensor:
        ranks = []
        for name, found in each.items():
            known = self.known[name]
            spread = (known[-1] - known[len(known) // 2]).clamp(min=1e-12)
            beyond = ((found - known[-1]) / spread).clamp(min=0).log1p()
            ranks.append(torch.searchsorted(known, found) / len(known) + TIE * beyond)
        return torch.stack(ranks).mean(0)
