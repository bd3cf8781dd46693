"""The networks of a GAN from the data's shape, and what its discriminator may be.

    images            convolutions, plain (Radford et al. 2016, arXiv:1511.06434) or residual
    points, tables    perceptrons, plain or residual

    scalar            a logit for each item
    patch             a logit for each patch of an image            Isola et al. 2017, arXiv:1611.07004
    autoencoder       minus the error of an autoencoder, its energy  Zhao et al. 2016, arXiv:1609.03126

    spectral          each weight over its largest singular value   Miyato et al. 2018, arXiv:1802.05957
    clip              each weight within +-bound                    Arjovsky et al. 2017, arXiv:1701.07875

Differs from the papers of energies: an error is the mean over an item's numbers, so that one margin suits every size.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from ....nn.beside import Beside
from ....nn.conv import Block, ConvDecoder, ConvEncoder, ConvPatches, Norm
from ....nn.mlp import ResidualMLP, mlp
from .conditions import Heads

Condition = Literal["none", "concat", "projection", "classifier"]
Critic = Literal["scalar", "patch", "autoencoder"]
Error = Literal["squared", "absolute"]
Constraint = Literal["none", "spectral", "clip"]

WEIGHTED = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d, nn.Embedding)


class Sizes(NamedTuple):
    """What a network is like, whatever it leads from and to."""

    width: int
    depth: int
    block: Block
    norm: Norm


class Energy(nn.Module):
    """Minus an autoencoder's error as a logit, (B, *shape) -> (B, 1): 0 for what it reconstructs exactly, never above.

    Arguments:
        autoencoder: (B, *shape) -> (B, *shape).
        error: squared (EBGAN) or absolute (BEGAN), the mean over an item's numbers.
        told: whether the code comes after the logit, (B, 1 + code); of an encoder and a decoder in sequence.
    """

    def __init__(self, autoencoder: nn.Module, error: Error, *, told: bool = False) -> None:
        super().__init__()
        self.autoencoder = autoencoder
        self.error = error
        self.told = told

    def forward(self, h: Tensor) -> Tensor:
        if not self.told:
            return self._judged(h, self.autoencoder(h))
        assert isinstance(self.autoencoder, nn.Sequential)
        encoder, decoder = self.autoencoder
        code = encoder(h)
        return torch.cat([self._judged(h, decoder(code)), code], dim=1)

    def _judged(self, h: Tensor, h_hat: Tensor) -> Tensor:
        away = (h_hat.to(h.dtype) - h).flatten(1)
        return -(away.square() if self.error == "squared" else away.abs()).mean(1, keepdim=True)


def critic_of(
    shape: tuple[int, ...], sizes: Sizes, critic: Critic, classes: int, condition: Condition, tells: int
) -> nn.Module:
    """A scalar or patch critic: (B, *shape), and labels where it judges by them, to a logit and what it tells.

    Arguments:
        tells: how many numbers beside the logit.
    """
    beside = classes if condition == "concat" else 0
    shape = (shape[0] + beside, *shape[1:])
    if critic == "patch":
        network: nn.Module = initialised(ConvPatches(shape, sizes.width, sizes.block, sizes.norm), sizes)
    elif condition == "projection" or tells:
        width = max(128, sizes.width)
        projected = classes if condition == "projection" else 0
        network = Heads(from_data(shape, width, sizes), width, projected, tells)
    else:
        network = from_data(shape, 1, sizes)
    return Beside(network, beside) if beside else network


def energy_critic(shape: tuple[int, ...], sizes: Sizes, error: Error, code: int, *, told: bool) -> Energy:
    """An autoencoder of our own: (B, *shape) -> (B, 1), and its code where that is told."""
    return Energy(nn.Sequential(from_data(shape, code, sizes), to_data(code, shape, sizes)), error, told=told)


def constrained(network: nn.Module) -> nn.Module:
    """The network, each of its weights divided by its largest singular value."""
    for module in network.modules():
        if isinstance(module, WEIGHTED):
            if not module.weight.any():  # a residual block that starts as the identity: 0 / 0
                module.reset_parameters()
            spectral_norm(module)
    return network


@torch.no_grad()
def clip(network: nn.Module, bound: float) -> None:
    """Each parameter to within +-bound (Arjovsky et al. 2017, algorithm 1, line 7)."""
    parameters = [p.data for p in network.parameters()]
    torch._foreach_clamp_min_(parameters, -bound)
    torch._foreach_clamp_max_(parameters, bound)


def from_data(shape: tuple[int, ...], outputs: int, sizes: Sizes) -> nn.Module:
    """(B, *shape) -> (B, outputs)."""
    if len(shape) == 1:
        return _perceptron(shape[0], outputs, sizes, partial(nn.LeakyReLU, 0.2))
    return initialised(ConvEncoder(shape, outputs, sizes.width, sizes.block, sizes.norm), sizes)


def to_data(inputs: int, shape: tuple[int, ...], sizes: Sizes) -> nn.Module:
    """(B, inputs) -> (B, *shape)."""
    if len(shape) == 1:
        return _perceptron(inputs, shape[0], sizes, nn.ReLU)
    return initialised(ConvDecoder(inputs, shape, sizes.width, sizes.block, sizes.norm), sizes)


def _perceptron(inputs: int, outputs: int, sizes: Sizes, activation: Callable[[], nn.Module]) -> nn.Module:
    # Kinks matter: with a smooth activation of the plain network clusters stay blurred many times longer.
    if sizes.block == "residual":
        return ResidualMLP(inputs, outputs, sizes.width, sizes.depth)
    return mlp((inputs, *[sizes.width] * sizes.depth, outputs), activation)


def initialised(network: nn.Module, sizes: Sizes) -> nn.Module:
    """DCGAN's networks start at N(0, 0.02) (section 4); where no batch norm makes up for it, that is too faint."""
    if sizes.block == "plain" and sizes.norm == "batch":
        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
                nn.init.normal_(module.weight, 0.0, 0.02)
                if module.bias is not None:  # a random one would outweigh such weights
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.weight, 1.0, 0.02)
    return network
