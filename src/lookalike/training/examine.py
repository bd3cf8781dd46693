"""What is looked at while a model trains: its figure on held-out data, and a picture of what it makes."""

from __future__ import annotations

import time
from pathlib import Path

import torch
from torch import Tensor

from ..data.base import Data
from ..metrics.likelihood import bits_per_dim
from ..models.base import Encoder, Explicit, Implicit, Model, pictured
from ..pictures import compare, show

ITEMS = 1000  # of the validation split, so that examining stays cheap
DRAWN = {"images": 64, "points": 1000, "table": 1000}
SHARE = 0.05  # of the time since the last picture that a picture may take: PixelCNN draws slowly


class Examiner:
    """Measures the averaged model on the validation split and draws it, the same way at every milestone."""

    def __init__(self, data: Data, folder: Path, seed: int) -> None:
        self.data = data
        self.folder = folder
        self.seed = seed
        self.drawn_at = time.monotonic()
        self.cost = 0.0

    def __call__(self, model: Model, step: int) -> dict[str, float]:
        with torch.inference_mode():
            figures = held_out(model, self.data, self.seed)
            if time.monotonic() - self.drawn_at > self.cost / SHARE:
                started = time.monotonic()
                self._draw(model, step)
                self.drawn_at = time.monotonic()
                self.cost = self.drawn_at - started
        return figures

    def _draw(self, model: Model, step: int) -> None:
        drawn = DRAWN[model.spec.kind]
        x, _ = self.data.valid.first(drawn, self.seed)
        if isinstance(model, Explicit | Implicit):
            picture = show(model.spec, pictured(model, drawn, seed=self.seed).cpu(), real=x)
        elif isinstance(model, Encoder):
            picture = compare(model.spec, x, model.reconstruct(x.to(model.device)).cpu())
        else:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        picture.save(self.folder / f"{step:08d}.png")


def held_out(model: Model, data: Data, seed: int = 0) -> dict[str, float]:
    """A model's own figure on validation items: bits/dim of a density, squared error of a code."""
    batches = data.valid.to(model.device).all(ITEMS, seed=seed)
    if isinstance(model, Explicit):
        log_prob = torch.cat([model.log_prob(x, y) for x, y in batches])
        return {"bits_per_dim": bits_per_dim(log_prob, model.spec.dims).mean().item()}
    if isinstance(model, Encoder):
        errors = [squared_error(model, x, model.reconstruct(x, y)) for x, y in batches]
        return {"mse": torch.cat(errors).mean().item()}
    return {}


def squared_error(model: Model, x: Tensor, x_hat: Tensor) -> Tensor:
    """Mean squared error per item, shape (B,): of intensities, or of a table's standardised entries."""
    if model.spec.kind != "images":
        x, x_hat = model.door.enter(x), model.door.enter(x_hat)
    return (x - x_hat).square().flatten(1).mean(1)
