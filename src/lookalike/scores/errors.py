"""By what a model makes of an item: its reconstruction, or what its discriminator says.

reconstruction    mean over numbers of (x - x_hat)^2, as `view` has them; without an encoder x_hat is searched for:
                  Schlegl et al. 2017, arXiv:1703.05921 (AnoGAN), whose error is absolute and beside one of features
critic            -D(x), the discriminator's logit
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from ..models.base import Judging
from .base import Score, UnfitError
from .near import OfLoss
from .seen import Seen
from .view import by_column


class Reconstruction(OfLoss):
    summary: ClassVar[str] = "what the code loses of the item; of a GAN the code is searched for"
    explains: ClassVar[bool] = True

    def score(self, x: Tensor) -> Tensor:
        return self.seen.through(x).left.square().mean(1)

    def parts(self, x: Tensor) -> Tensor:
        return by_column(self.seen.spec, self.seen.through(x).left.square())


class Critic(Score):
    summary: ClassVar[str] = "how sure the discriminator is that the item is no data"

    def __init__(self, seen: Seen) -> None:
        super().__init__(seen)
        if not isinstance(self.model, Judging):
            raise UnfitError(f"{type(self.model).__name__} has no discriminator")
        if self.model.conditional:
            raise UnfitError("its discriminator asks for a label, which an item to be judged has not")
        self.judging = self.model

    def score(self, x: Tensor) -> Tensor:
        return -self.judging.judge(x, x)[1].double().cpu()
