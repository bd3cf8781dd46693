"""Layers whose scale and shift are set by the first batch, so that a deep network starts standardised.

    y = gain * (x - mean) / std        mean, std: of each channel in the first batch, over all processes

Afterwards gain and shift are learnt as any weight. Salimans & Kingma (2016), "Weight normalization", arXiv:1602.07868,
section 3; Kingma & Dhariwal (2018), arXiv:1807.03039. What a layer took from its first batch is in its weights, and
that it has done so is a buffer saved with them: a model that is loaded or resumed is not initialised again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, distributed, nn

SAME = 1e-6
"""Variance up to which a channel is taken to be constant in a batch."""

LEAST_VARIANCE = 1e-2
"""The smallest variance that is made 1: what is almost constant in one batch is not so in the next."""


class FromFirstBatch(ABC):
    """A layer that `initialising` shows its first input."""

    @abstractmethod
    def initialise(self, x: Tensor) -> None:
        """Set the weights by x, what comes to the layer; only once."""


class Centred(nn.Module, FromFirstBatch):
    """x less the mean of each number in the first batch, any shape (B, *).

    Pixels of a drawing are mostly of one colour: a dense layer's gradient is then mostly their mean, the same for
    every item, and learning what differs between them takes several times as long (LeCun et al. 1998, "Efficient
    backprop", section 4.3).
    """

    mean: Tensor
    initialised: Tensor

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("initialised", torch.tensor(False))

    def forward(self, x: Tensor) -> Tensor:
        return x - self.mean

    @torch.no_grad()
    def initialise(self, x: Tensor) -> None:
        """As `FromFirstBatch.initialise`."""
        if not self.initialised:
            self.mean.copy_(moments(x.flatten(1))[0].view_as(self.mean))
            self.initialised.fill_(True)


def set_by_first_batch(network: nn.Module) -> list[nn.Module]:
    """The layers of a network that are."""
    return [module for module in network.modules() if isinstance(module, FromFirstBatch)]


@contextmanager
def initialising(network: nn.Module) -> Iterator[None]:
    """Inside, each such layer of `network` that was not yet is initialised by what comes to it first."""
    hooks = [
        layer.register_forward_pre_hook(lambda layer, args: layer.initialise(args[0]))
        for layer in set_by_first_batch(network)
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of each channel of x, (B, C, ...), over all processes; 1 for a variance of 0; (C,) each."""
    others = [0, *range(2, x.dim())]
    both = torch.stack([x.mean(others), x.square().mean(others)])
    if distributed.is_available() and distributed.is_initialized():
        distributed.all_reduce(both)
        both /= distributed.get_world_size()
    mean, square = both
    variance = square - mean.square()
    return mean, torch.where(variance > SAME, variance.clamp(min=LEAST_VARIANCE), 1.0)
