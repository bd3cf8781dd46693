"""By the code alone: how far it lies from the mean of the training codes.

mahalanobis    (z - mean)' Sigma^-1 (z - mean)           Sigma of the training codes, shrunk (Ledoit & Wolf 2004)
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from .near import OfCode


class Mahalanobis(OfCode):
    summary: ClassVar[str] = "how far the code lies from the mean of the training codes, in their deviations"

    def fit(self, x: Tensor) -> None:
        from sklearn.covariance import LedoitWolf

        found = LedoitWolf().fit(self.seen.every(x, self.seen.codes).numpy())
        self.mean, self.precision = torch.from_numpy(found.location_), torch.from_numpy(found.precision_)

    def score(self, x: Tensor) -> Tensor:
        away = self.seen.codes(x) - self.mean
        return ((away @ self.precision) * away).sum(1)
