"""By random cuts, whatever the model: how few of them set an item apart from 256 others.

Liu et al. (2008), "Isolation forest", ICDM, 413-422, by scikit-learn.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from .base import Score


class Forest(Score):
    summary: ClassVar[str] = (
        "how few random cuts set the item apart, by scikit-learn's isolation forest, without the model"
    )

    def fit(self, x: Tensor) -> None:
        from sklearn.ensemble import IsolationForest

        known = self.seen.every(x, self.seen.items)
        self.forest = IsolationForest(random_state=self.seen.seed).fit(known.numpy())

    def score(self, x: Tensor) -> Tensor:
        return torch.from_numpy(-self.forest.score_samples(self.seen.items(x).numpy()))
