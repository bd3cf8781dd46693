"""What an audit is given, a `Subject`, and what it says, a `Finding`."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from ..models.base import Model, seeded
from ..recipe import Training
from ..spec import Spec


@dataclass(frozen=True)
class Finding:
    """What an audit found.

    Arguments:
        ok: whether what was promised holds.
        value: what was measured; it is to be no more than `tolerance`.
        note: what was compared, on what, in words.
        picture: to show it, in [0, 1], shape (N, 3, H, W), where there is one.
    """

    value: float
    tolerance: float
    note: str
    picture: Tensor | None = None

    @property
    def ok(self) -> bool:
        return self.value <= self.tolerance  # False where the value is no number


class UnfitError(Exception):
    """An audit is not for this model; the message says why."""


@dataclass(frozen=True, eq=False)
class Subject:
    """A model under audit.

    Arguments:
        model: in eval mode on the CPU, in its own precision.
        x: a few items in the user's units, shape (B, *spec.shape), B at least 2.
        y: their labels, shape (B,), where the model is conditional.
        blank: the same model before any weights were put into it; None where only its maker can build it.
        small: the same recipe for other data, with weights of its own that are all at work; None as above.
        seed: of whatever is drawn.
        numbers: of the optimiser it is trained with, where that is known.
        averaged: makes the average a training keeps, of a model and a decay; `update_parameters(model)` moves it.
    """

    model: Model
    x: Tensor
    y: Tensor | None
    blank: Callable[[], Model] | None
    small: Callable[[Spec], Model] | None
    seed: int = 0
    numbers: Training | None = None
    averaged: Callable[[Model, float], AveragedModel] | None = None

    @functools.cached_property
    def double(self) -> Model:
        """A copy in float64."""
        return copy.deepcopy(self.model).double()


def shake(model: Model, x: Tensor, y: Tensor | None, seed: int) -> Model:
    """A fresh model in which every weight is at work, in eval mode.

    Networks begin with zeros in places, and behind a zero a fault does not show.

    Arguments:
        x, y: items for layers that are set by the first batch.
    """
    with seeded(seed, model.device):
        with torch.no_grad():
            for parameter in model.parameters():
                noise = torch.randn_like(parameter)
                spread = parameter.std() if parameter.numel() > 1 else 0.0
                parameter.add_(noise * (0.3 * spread + 0.03))
        # What the first batch sets comes last: it keeps a deep flow from running away.
        for _ in model.train().turns(x, y, 0):
            pass
    return model.eval()


def largest(*differences: Tensor) -> float:
    """The largest absolute value of several tensors; NaN where there is one; 0 of none."""
    return max((d.detach().abs().max() for d in differences if d.numel()), default=torch.tensor(0.0)).item()


def apart(a: Tensor, b: Tensor) -> Tensor:
    """a - b, where a gap on both sides is no difference."""
    return torch.where(a.isnan() & b.isnan(), torch.zeros_like(a), a - b)
