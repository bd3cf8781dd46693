"""What several scores ask of the same items, worked out once: how a model sees them, and which are nearest.

    items      x as distances are measured of it (`view`)
    surface    (x_hat, x - x_hat): where on the model's surface an item lies, and which way and how far off it
    near       over the k nearest training items, the mean distance for k = 5 and for a tenth of them all

A model without an encoder is asked by search (`search`): its x_hat is the nearest it can make.
An item that is itself among the training items is not held against itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..models.base import Encoder, Latent, Model, seeded
from ..nn.memory import items_at_once, onto
from .search import search
from .view import view

NEAREST = 5
CROWD = 0.1
"""Share of the training items that make a crowd, `NEAREST` at the least."""
RESTARTS, STEPS = 2, 60
"""Of a search."""


class Through(NamedTuple):
    """Items through the model's code and back, on the CPU.

    Arguments:
        z: codes, float64, shape (B, latent).
        x_hat, left: what it makes of them and what it loses, x - x_hat, as `view` has them, (B, D).
    """

    z: Tensor
    x_hat: Tensor
    left: Tensor


class Seen:
    """A model and what scores share of it.

    Arguments:
        model: trained, in eval mode.
        seed: of whatever is drawn.
    """

    def __init__(self, model: Model, seed: int = 0) -> None:
        self.model = model
        self.spec = model.spec
        self.seed = seed
        self.spaces: dict[str, Space] = {}
        self._of: Tensor | None = None
        self._found: dict[str, Any] = {}

    @property
    def searches(self) -> bool:
        """Whether codes are searched for, because there is no encoder."""
        return not isinstance(self.model, Encoder)

    def chunks(self, x: Tensor) -> Iterator[Tensor]:
        """Some items at a time on the model's device."""
        for part in x.split(items_at_once(self.spec.dims)):
            yield onto(part, self.model.device)

    def every(self, x: Tensor, of: Callable[[Tensor], Tensor]) -> Tensor:
        """`of` of x, some items at a time."""
        return torch.cat([self.drawn(of, part) for part in self.chunks(x)])

    @torch.no_grad()
    def drawn(self, of: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        """`of` of a chunk, with what it draws by the seed."""
        with seeded(self.seed, self.model.device):
            return of(x)

    def items(self, x: Tensor) -> Tensor:
        """Items as distances between them are measured, on the CPU."""
        found: Tensor = self._once("items", x, lambda: view(self.spec, x).cpu())
        return found

    def through(self, x: Tensor) -> Through:
        """Items through the model's code, or what a search finds for it."""
        found: Through = self._once("through", x, lambda: self._through(x))
        return found

    def surface(self, x: Tensor) -> Tensor:
        """Where items lie on the model's surface, and how off it, (B, 2 D)."""
        found = self.through(x)
        return torch.cat([found.x_hat, found.left], dim=1)

    def codes(self, x: Tensor) -> Tensor:
        """Their codes, (B, latent)."""
        return self.through(x).z

    def nearest(self, name: str, x: Tensor) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Distances to the nearest training items in a space, and which are the first of them: `Space.order`."""
        space = self.spaces[name]
        found: tuple[Any, Any] = self._once(f"near {name}", x, lambda: space.order(self._point(name, x), x))
        return found

    def fit(self, name: str, x: Tensor) -> Space:
        """The training items in the space `items`, `surface` or `codes`."""
        if name not in self.spaces or self.spaces[name].of is not x:
            known = self.every(x, lambda part: self._point(name, part))
            self.spaces[name] = Space(x, known, known.std(0).clamp(min=1e-9) if name == "codes" else None)
        return self.spaces[name]

    def _point(self, name: str, x: Tensor) -> Tensor:
        point: Tensor = {"items": self.items, "surface": self.surface, "codes": self.codes}[name](x)
        return point

    def _through(self, x: Tensor) -> Through:
        if isinstance(self.model, Encoder):
            z = self.model.encode(x)
            x_hat = self.model.decode(z)
        else:
            assert isinstance(self.model, Latent)
            found = search(self.model, x, restarts=RESTARTS, steps=STEPS, seed=self.seed)
            z, x_hat = found.z, found.x_hat
        made = view(self.spec, x_hat).cpu()
        return Through(z.double().cpu(), made, self.items(x) - made)

    def _once(self, name: str, x: Tensor, make: Callable[[], Any]) -> Any:
        if self._of is not x:
            self._of, self._found = x, {}
        if name not in self._found:
            made = make()
            self._of = x
            self._found[name] = made
        return self._found[name]


class Space:
    """Training items as points to be near to.

    Arguments:
        of: the items, shape (N, ...).
        known: their points, shape (N, D).
        scale: by which each number is divided, shape (D,); None where the units are alike.
    """

    def __init__(self, of: Tensor, known: Tensor, scale: Tensor | None = None) -> None:
        self.of = of
        self.scale = known.new_ones(()) if scale is None else scale
        self.known = known / self.scale
        self.few = min(NEAREST, len(known) - 1)
        self.many = min(max(NEAREST, round(CROWD * len(known))), len(known) - 1)
        self._at = {hash(row.tobytes()): i for i, row in enumerate(of.cpu().numpy())}

    def all(self, points: Tensor, x: Tensor) -> NDArray[np.float64]:
        """Distances of items x, at points (B, D), to all that are known, (B, N); inf of an item to itself."""
        distances = torch.cdist(points / self.scale, self.known).numpy()
        for i, row in enumerate(x.cpu().numpy()):
            if (own := self._at.get(hash(row.tobytes()))) is not None:
                distances[i, own] = np.inf
        return distances

    def order(self, points: Tensor, x: Tensor) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Distances, (B, many), the `few` nearest before the rest; and which training items these few are, (B, few)."""
        distances = self.all(points, x)
        which = np.argpartition(distances, (self.few - 1, self.many - 1), axis=1)[:, : self.many]
        return np.take_along_axis(distances, which, 1), which[:, : self.few]
