"""By the items themselves, whatever the model: what every model's score should be held against.

neighbours    mean distance to the 5 nearest training items, standardised         Ramaswamy et al. 2000
crowd         mean distance to the nearest tenth of them: odd items that are many and alike are odd still
forest        how few random cuts set the item apart from 256 others              Liu et al. 2008, isolation forest
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from .base import Score, view
from .codes import NEAREST, Nearest


class Near(Score):
    """How far the nearest training items are."""

    share: ClassVar[float]
    """Of the training items, so many count, and 5 at the least."""

    def fit(self, x: Tensor) -> None:
        known = self.chunked(x, lambda part: view(self.model, part))
        self.near = Nearest(known, max(NEAREST, round(self.share * len(known))))

    def score(self, x: Tensor) -> Tensor:
        return self.near.distance(view(self.model, x).cpu())


class Neighbours(Near):
    summary: ClassVar[str] = "how far the item lies from the nearest training items, without the model"
    share: ClassVar[float] = 0.0


class Crowd(Near):
    summary: ClassVar[str] = "how far the item lies from the nearest tenth of the training items, without the model"
    share: ClassVar[float] = 0.1


class Forest(Score):
    summary: ClassVar[str] = (
        "how few random cuts set the item apart, by scikit-learn's isolation forest, without the model"
    )

    def fit(self, x: Tensor) -> None:
        from sklearn.ensemble import IsolationForest

        known = self.chunked(x, lambda part: view(self.model, part))
        self.forest = IsolationForest(n_estimators=200, random_state=self.seed).fit(known.numpy())

    def score(self, x: Tensor) -> Tensor:
        return torch.from_numpy(-self.forest.score_samples(view(self.model, x).cpu().numpy()))
