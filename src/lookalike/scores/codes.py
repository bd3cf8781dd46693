"""By the code: how far from the mean of the training codes, and from the nearest of them.

mahalanobis    (z - mean)' Sigma^-1 (z - mean)           Sigma of the training codes, shrunk (Ledoit & Wolf 2004)
code-distance  mean distance to the 5 nearest training codes, each number in its own deviations
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from ..models.base import Encoder, Model
from .base import Score, UnfitError

NEAREST = 5


class Coded(Score):
    """A score of codes alone."""

    def __init__(self, model: Model, seed: int = 0) -> None:
        super().__init__(model, seed)
        if not isinstance(model, Encoder):
            raise UnfitError(f"{type(model).__name__} has no encoder")
        self.encoder = model

    def codes(self, x: Tensor) -> Tensor:
        """Codes in float64, shape (B, latent)."""
        return self.encoder.encode(x).double()


class Mahalanobis(Coded):
    summary: ClassVar[str] = "how far the code lies from the mean of the training codes, in their deviations"

    def fit(self, x: Tensor) -> None:
        from sklearn.covariance import LedoitWolf

        found = LedoitWolf().fit(self.chunked(x, self.codes).numpy())
        self.mean, self.precision = torch.from_numpy(found.location_), torch.from_numpy(found.precision_)

    def score(self, x: Tensor) -> Tensor:
        away = self.codes(x).cpu() - self.mean
        return ((away @ self.precision) * away).sum(1)


class CodeDistance(Coded):
    summary: ClassVar[str] = "how far the code lies from the nearest training codes"

    def fit(self, x: Tensor) -> None:
        z = self.chunked(x, self.codes)
        self.scale = z.std(0).clamp(min=1e-9)
        self.near = Nearest(z / self.scale)

    def score(self, x: Tensor) -> Tensor:
        return self.near.distance(self.codes(x).cpu() / self.scale)


class Nearest:
    """Items to be near to, shape (N, D)."""

    def __init__(self, known: Tensor, k: int = NEAREST) -> None:
        from sklearn.neighbors import NearestNeighbors

        self.k = min(k, len(known) - 1)
        self.found = NearestNeighbors(n_neighbors=self.k + 1).fit(np.ascontiguousarray(known.numpy()))

    def distance(self, x: Tensor) -> Tensor:
        """Mean distance to the k nearest, shape (B,); an item that is one of them is not held against itself."""
        found = self.found.kneighbors(x.numpy())[0]
        own = found[:, 0] == 0
        return torch.from_numpy(np.where(own, found[:, 1:].sum(1), found[:, :-1].sum(1)) / self.k)
