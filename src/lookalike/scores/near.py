"""By the nearest training items: how far the few nearest are, and how far a crowd of them.

    neighbours      mean distance to the 5 nearest items                         Ramaswamy et al. 2000
    crowd           mean distance to the nearest tenth of them: odd items that are many and alike are odd still
    surface         as neighbours, of (x_hat, x - x_hat): where on the model's surface, and how off it
    surface-crowd   as crowd, of the same
    code-distance   as neighbours, of the code, each number in its own deviations

Neighbours and crowd look at items without the model: what every model's score should be held against. Of a linear
autoencoder x_hat and x - x_hat are at right angles, and `surface` is `neighbours`; a model that bends tells items
apart that lie beside its surface from those that lie far along it.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from ..models.base import Encoder, Latent
from .base import Score, UnfitError
from .seen import Seen
from .view import by_column


class Near(Score):
    """How far the nearest training items are, in a space of `Seen`."""

    space: ClassVar[str] = "items"
    crowd: ClassVar[bool] = False
    """Whether a tenth of all counts, and not the few nearest."""

    def fit(self, x: Tensor) -> None:
        self.known = self.seen.fit(self.space, x)

    def score(self, x: Tensor) -> Tensor:
        distances, _ = self.seen.nearest(self.space, x)
        return torch.from_numpy(distances[:, : self.known.many if self.crowd else self.known.few].mean(1))


class Neighbours(Near):
    summary: ClassVar[str] = "how far the item lies from the nearest training items, without the model"
    explains: ClassVar[bool] = True

    def parts(self, x: Tensor) -> Tensor:
        _, which = self.seen.nearest(self.space, x)
        away = torch.stack([(self.seen.items(x) - self.known.known[of]).square() for of in which.T])
        return by_column(self.seen.spec, away.mean(0))


class Crowd(Near):
    summary: ClassVar[str] = "how far the item lies from the nearest tenth of the training items, without the model"
    crowd: ClassVar[bool] = True


class OfCode(Score):
    """A score of what the model makes of an item by its code, an encoder's or one that is searched for."""

    def __init__(self, seen: Seen) -> None:
        super().__init__(seen)
        if not isinstance(self.model, Latent):
            raise UnfitError(f"{type(self.model).__name__} has no code")
        if self.model.conditional and seen.searches:
            raise UnfitError("its code is searched for given a label, which an item to be judged has not")

    @property
    def quick(self) -> bool:
        return not self.seen.searches


class OfLoss(OfCode):
    """Of what the code loses."""

    def __init__(self, seen: Seen) -> None:
        super().__init__(seen)
        if isinstance(self.model, Encoder) and self.model.lossless:
            raise UnfitError("its code loses nothing")


class Surface(OfLoss, Near):
    summary: ClassVar[str] = "how far the item lies from the nearest, by where on the model's surface and how off it"
    space: ClassVar[str] = "surface"


class SurfaceCrowd(Surface):
    summary: ClassVar[str] = "as surface, from the nearest tenth of the training items"
    crowd: ClassVar[bool] = True


class CodeDistance(OfCode, Near):
    summary: ClassVar[str] = "how far the code lies from the nearest training codes"
    space: ClassVar[str] = "codes"
