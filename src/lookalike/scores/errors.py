"""By what a model makes of an item: its reconstruction, or what its discriminator says.

reconstruction    mean over numbers of (h - h_hat)^2, h the item as the door has it
critic            -D(x), the discriminator's logit
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from ..models.base import Encoder, Judging, Model
from .base import Score, UnfitError, by_column, view


class Reconstruction(Score):
    summary: ClassVar[str] = "what the code loses of the item"

    def __init__(self, model: Model, seed: int = 0) -> None:
        super().__init__(model, seed)
        if not isinstance(model, Encoder):
            raise UnfitError(f"{type(model).__name__} has no encoder")
        if model.lossless:
            raise UnfitError("its code loses nothing")
        self.encoder = model

    def score(self, x: Tensor) -> Tensor:
        return self._wrong(x).mean(1).cpu()

    def parts(self, x: Tensor) -> Tensor | None:
        return by_column(self.model, self._wrong(x))

    def _wrong(self, x: Tensor) -> Tensor:
        return (view(self.model, x) - view(self.model, self.encoder.reconstruct(x))).square()


class Critic(Score):
    summary: ClassVar[str] = "how sure the discriminator is that the item is no data"

    def __init__(self, model: Model, seed: int = 0) -> None:
        super().__init__(model, seed)
        if not isinstance(model, Judging):
            raise UnfitError(f"{type(model).__name__} has no discriminator")
        if model.conditional:
            raise UnfitError("its discriminator asks for a label, which an item to be judged has not")
        self.judging = model

    def score(self, x: Tensor) -> Tensor:
        return -self.judging.judge(x, x)[1].double().cpu()
