"""Mean and covariance of features as they come, a part at a time, in float64.

    n      = n_a + n_b
    mean   = mean_a + (n_b / n) delta                       delta = mean_b - mean_a
    M      = M_a + M_b + (n_a n_b / n) delta delta^T        covariance = M / (n - 1)

Chan, Golub & LeVeque (1983), "Algorithms for computing the sample variance". No features are held but some: evenly,
up to `SOME` of them, for the standard error of what is computed of the moments.
"""

from __future__ import annotations

import torch
from torch import Tensor

SOME = 1024


class Moments:
    """Of rows of features, shape (N, D)."""

    def __init__(self) -> None:
        self.n = 0
        self.mean = torch.zeros(0, dtype=torch.float64)
        self.scatter = torch.zeros(0, 0, dtype=torch.float64)
        self._kept: list[Tensor] = []
        self._stride = 1

    @classmethod
    def of(cls, x: Tensor, chunk: int = 2000) -> Moments:
        """Of all rows at once, shape (N, D)."""
        moments = cls()
        for part in x.split(chunk):
            moments.add(part)
        return moments

    def add(self, x: Tensor) -> None:
        """Take in further rows, shape (B, D)."""
        start, self.n = self.n, self.n + len(x)
        self._keep(x, start)
        x = x.double()
        if start == 0:
            self.mean, self.scatter = x.new_zeros(x.shape[1]), x.new_zeros(x.shape[1], x.shape[1])
        mean = x.mean(0)
        x = x - mean
        delta = mean - self.mean
        self.scatter.addmm_(x.T, x).addr_(delta, delta, alpha=start * len(x) / self.n)
        self.mean = self.mean + delta * (len(x) / self.n)

    @property
    def dims(self) -> int:
        return len(self.mean)

    @property
    def covariance(self) -> Tensor:
        """Unbiased, shape (D, D), float64."""
        return self.scatter / max(1, self.n - 1)

    @property
    def some(self) -> Tensor:
        """Some of the rows, evenly over all, shape (at most 1024, D), float64."""
        return torch.stack(self._kept).double() if self._kept else self.mean.new_zeros(0, self.dims)

    @property
    def std(self) -> Tensor:
        """Of each feature, shape (D,); 1 where it is constant but for what float32 leaves of a constant."""
        std = self.covariance.diagonal().sqrt()
        return torch.where(std > 1e-6 * (1 + self.mean.abs()), std, 1.0)

    def standardised(self, by: Moments) -> Moments:
        """Of the same rows in standard deviations of `by` about its mean."""
        other = Moments()
        other.n, other._stride = self.n, self._stride
        other.mean = (self.mean - by.mean) / by.std
        other.scatter = self.scatter / by.std[:, None] / by.std
        other._kept = list((self.some - by.mean) / by.std)
        return other

    def _keep(self, x: Tensor, start: int) -> None:
        first = -start % self._stride
        self._kept += [row.clone() for row in x[first :: self._stride]]
        while len(self._kept) > SOME:
            self._kept, self._stride = self._kept[::2], 2 * self._stride
