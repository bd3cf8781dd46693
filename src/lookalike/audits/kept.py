"""What a training keeps beside the weights: an average that forgets nothing, and numbers its optimiser takes.

    average of (weights, buffers)    ->   (weights, buffers), where these stand still

A model whose weights are averaged and whose batch statistics are not is neither of the two. A beta that is a whole
number is refused by the optimiser, an hour later on another machine.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from .base import Finding, Subject, UnfitError, apart, largest

UPDATES = 200
DECAY = 0.9  # of a step, that is 0.43 of an update: after 200 of them nothing is left of what was


def averaging(subject: Subject) -> Finding:
    """How far the averaged model is from one that has long stood still, in weights and buffers alike."""
    if subject.averaged is None:
        raise UnfitError("a model in hand says nothing of how its average was made")
    model = copy.deepcopy(subject.model)
    average = subject.averaged(model, DECAY)
    average.update_parameters(model)
    with torch.no_grad():
        for tensor in _floats(model):
            tensor.add_(torch.ones_like(tensor))
    for _ in range(UPDATES):
        average.update_parameters(model)
    pairs = list(zip(_floats(model), _floats(average.module), strict=True))
    buffers = sum(1 for _ in model.buffers())
    differences = [apart(a, b) / (1 + largest(a)) for a, b in pairs]
    return Finding(largest(*differences), 1e-5, f"{len(pairs)} tensors ({buffers} buffers), {UPDATES} updates on")


def _floats(model: nn.Module) -> Iterator[Tensor]:
    """Parameters and buffers that are not whole numbers."""
    yield from (tensor.data for tensor in (*model.parameters(), *model.buffers()) if tensor.is_floating_point())


def numbers(subject: Subject) -> Finding:
    """How many of the optimiser's real numbers are whole ones by type."""
    if subject.numbers is None:
        raise UnfitError("a model in hand says nothing of its optimiser")
    rates = subject.numbers.lr
    real = [*subject.numbers.betas, *(rates.values() if isinstance(rates, dict) else [rates])]
    wrong = sum(not isinstance(number, float) for number in real)
    return Finding(float(wrong), 0.0, f"betas {subject.numbers.betas} and rates are floats")
