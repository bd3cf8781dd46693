"""By log p(x), and two corrections: pictures of another kind can be *likelier* than those a model has learnt.

    likelihood    -log p(x), or minus the bound on it
    typicality    |-log p(x) - E[-log p(x)]|, over training items        Nalisnick et al. 2019, arXiv:1906.02994
    ratio         -log p(x) - L(x), L the length of an image as PNG, nats    Serra et al. 2020, arXiv:1909.11480

A bound is drawn `DRAWS` times for each item and averaged by importance, which costs as many passes.
"""

from __future__ import annotations

import io
import math
from typing import ClassVar

import torch
from PIL import Image
from torch import Tensor

from ..models.base import Bounded, Explicit
from .base import Score, UnfitError
from .seen import Seen

DRAWS = 8


class Density(Score):
    """A score of log p(x)."""

    def __init__(self, seen: Seen) -> None:
        super().__init__(seen)
        if not isinstance(self.model, Explicit):
            raise UnfitError(f"{type(self.model).__name__} has no density")
        if self.model.conditional:
            raise UnfitError("it has log p(x | label), and an item to be judged has no label")
        self.explicit = self.model

    def nats(self, x: Tensor) -> Tensor:
        """-log p(x), or minus the bound on it, float64, shape (B,), on the CPU."""
        if isinstance(self.explicit, Bounded) and not self.explicit.exact:
            return -self.explicit.log_prob(x, samples=DRAWS).double().cpu()
        return -self.explicit.log_prob(x).double().cpu()


class Likelihood(Density):
    summary: ClassVar[str] = "-log p(x), or minus the bound on it"

    def score(self, x: Tensor) -> Tensor:
        return self.nats(x)


class Typicality(Density):
    summary: ClassVar[str] = "how far -log p(x) is from that of training items, to either side"

    def fit(self, x: Tensor) -> None:
        self.usual = self.seen.every(x, self.nats).median()

    def score(self, x: Tensor) -> Tensor:
        return (self.nats(x) - self.usual).abs()


class Ratio(Density):
    summary: ClassVar[str] = "-log p(x) less the length of a PNG: plain pictures are not normal for being plain"

    def __init__(self, seen: Seen) -> None:
        super().__init__(seen)
        if seen.spec.kind != "images":
            raise UnfitError("a PNG is of pictures")

    def score(self, x: Tensor) -> Tensor:
        return self.nats(x) - torch.tensor([8 * math.log(2) * _png(item) for item in x.cpu()])


def _png(item: Tensor) -> int:
    """Bytes of an image, shape (C, H, W) in [0, 1], as PNG."""
    k = (item * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    content = io.BytesIO()
    Image.fromarray(k.squeeze(2) if k.shape[2] == 1 else k).save(content, "PNG")
    return content.tell()
