"""What is looked at while a model trains: its figure on held-out data, and a picture of what it makes."""

from __future__ import annotations

import io
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from ..data.base import Data
from ..disk import write_atomically
from ..metrics.likelihood import bits_per_dim
from ..metrics.reconstruction import mse
from ..models.base import Encoder, Explicit, Implicit, Model, Repairer, pictured, seeded
from ..pictures import compare, ready, show

T = TypeVar("T")
ITEMS = 1000  # of the validation split at the most, so that examining stays cheap ...
FEWEST = 100  # ... and at the least
DRAWN = {"images": 64, "points": 1000, "table": 1000}
FEW = 16
SHARE = 0.05  # of a training that measuring may take, and drawing again: PixelCNN draws slowly
A_STEP = 3  # passes: forward, and backward at twice its cost


class Allowance:
    """Lets work be done as often as it takes no more than a share of the time."""

    def __init__(self, share: float = SHARE) -> None:
        self.share = share
        self.next = -math.inf

    def spend(self, work: Callable[[], T]) -> T | None:
        """What the work gives, or None where its turn has not come."""
        started = time.monotonic()
        if started < self.next:
            return None
        done = work()
        ended = time.monotonic()
        self.next = ended + (ended - started) / self.share
        return done


class Examiner:
    """Measures the averaged model on the validation split and draws it.

    It is drawn at every milestone that time allows. It is measured at each, on as many items as keep to the share:
    which model is kept depends on it, and must not depend on the clock. Only a training that itself goes by the
    clock is measured when time allows.

    Arguments:
        between: items that are trained on between two milestones; None where the clock decides.
    """

    def __init__(self, data: Data, folder: Path, seed: int, between: int | None) -> None:
        self.data = data
        self.folder = folder
        self.seed = seed
        self.items = ITEMS if between is None else max(FEWEST, min(ITEMS, int(SHARE * A_STEP * between)))
        ready(data.spec)
        self.measuring = Allowance() if between is None else None
        self.drawing = Allowance()

    @torch.inference_mode()
    def __call__(self, model: Model, step: int, last: bool) -> dict[str, float]:
        if last:  # measured in any case, so that no stale figure stands for the model; drawn anew when all is done
            return self._measure(model)
        self.drawing.spend(lambda: self._draw(model, step))
        return (self.measuring.spend(lambda: self._measure(model)) if self.measuring else self._measure(model)) or {}

    def _measure(self, model: Model) -> dict[str, float]:
        return held_out(model, self.data, self.items, self.seed)

    def _draw(self, model: Model, step: int) -> None:
        drawn = FEW if model.draws_slowly else DRAWN[model.spec.kind]
        x, y = self.data.valid.thinned(drawn).first(drawn, self.seed)
        if isinstance(model, Explicit | Implicit):
            picture = show(model.spec, pictured(model, drawn, seed=self.seed).cpu(), real=x)
        elif isinstance(model, Repairer):
            with seeded(self.seed, model.device):
                corrupted, repaired = model.attempt(x.to(model.device))
            picture = compare(model.spec, corrupted.cpu(), repaired.cpu())
        elif isinstance(model, Encoder):
            labels = None if y is None else y.to(model.device)
            picture = compare(model.spec, x, model.reconstruct(x.to(model.device), labels).cpu())
        else:
            return
        content = io.BytesIO()
        picture.save(content, "PNG")
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomically(self.folder / f"{step:08d}.png", content.getvalue())


def held_out(model: Model, data: Data, items: int, seed: int = 0) -> dict[str, float]:
    """A model's own figure on so many validation items: bits/dim of a density, squared error of a code or a repair."""
    batches = data.valid.thinned(items).to(model.device).all(seed=seed)
    if isinstance(model, Explicit):
        log_prob = torch.cat([model.log_prob(x, y) for x, y in batches])
        return {"bits_per_dim": bits_per_dim(log_prob, model.spec.dims).mean().item()}
    if isinstance(model, Repairer):
        with seeded(seed, model.device):
            errors = [squared_error(model, x, model.attempt(x)[1]) for x, _ in batches]
        return {"mse": torch.cat(errors).mean().item()}
    if isinstance(model, Encoder):
        errors = [squared_error(model, x, model.reconstruct(x, y)) for x, y in batches]
        return {"mse": torch.cat(errors).mean().item()}
    return {}


def squared_error(model: Model, x: Tensor, x_hat: Tensor) -> Tensor:
    """Mean squared error per item, shape (B,): of intensities, or of a table's standardised entries."""
    if model.spec.kind != "images":
        x, x_hat = model.door.enter(x), model.door.enter(x_hat)
    return mse(x, x_hat)
