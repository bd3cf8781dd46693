"""The networks of a GAN from the data's shape, and its slots from plain values.

    images            convolutions, plain (Radford et al. 2016, arXiv:1511.06434) or residual
    points, tables    perceptrons, plain or residual
    concat            one-hot labels beside z and beside h        Mirza & Osindero 2014, arXiv:1411.1784
    projection        D(h, y) = v . phi(h) + e_y . phi(h) + c      Miyato & Koyama 2018, arXiv:1802.05637
    spectral          each weight over its largest singular value  Miyato et al. 2018, arXiv:1802.05957

Differs from the projection paper: the generator takes its label beside z, not by batch normalisation.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Literal, NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from ....errors import UserError
from ....nn.beside import Beside
from ....nn.conv import Block, ConvDecoder, ConvEncoder, Norm
from ....nn.doors import Door
from ....nn.mlp import ResidualMLP, mlp
from ....nn.own import checked
from ....options import Range
from ....spec import Spec
from ..losses import OBJECTIVES, ObjectiveName, PenaltyName
from .gan import GAN, has_batch_norm

Condition = Literal["none", "concat", "projection"]


class Sizes(NamedTuple):
    """What a network is like, whatever it leads from and to."""

    width: int
    depth: int
    block: Block
    norm: Norm


WEIGHTED = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d, nn.Embedding)


def gan(
    spec: Spec,
    *,
    objective: ObjectiveName = "relativistic",
    penalty: PenaltyName = "r1+r2",
    penalty_weight: Annotated[float, Range(0, above=True)] = 1.0,
    constraint: Literal["none", "spectral"] = "none",
    condition: Condition = "none",
    n_critic: Annotated[int, Range(1)] = 1,
    latent: Annotated[int | None, Range(1)] = None,
    width: Annotated[int, Range(1)] = 128,
    depth: Annotated[int, Range(1)] = 3,
    block: Block = "residual",
    generator_norm: Norm = "none",
    discriminator_norm: Norm = "none",
    generator: nn.Module | None = None,
    discriminator: nn.Module | None = None,
) -> GAN:
    """A GAN for data like `spec`.

    Arguments:
        objective: what discriminator and generator are after.
        penalty: where the discriminator's slopes are held to 0 (r1, r2) or 1 (wgan-gp, dragan).
        penalty_weight: gamma of r1 and r2, lambda of wgan-gp and dragan.
        constraint: spectral divides each weight of the discriminator by its largest singular value.
        condition: how labels enter: not at all, beside the input, or by projection in the discriminator.
        n_critic: turns of the discriminator before each of the generator.
        latent: length of the code z; where not given, 100 for images and as many as a row's numbers.
        width: of the networks: channels at the first halving of an image, or hidden units of a row.
        depth: hidden layers or residual blocks for points and tables; images have one for each halving.
        block: plain layers, or residual ones.
        generator_norm: normalisation in the generator of images.
        discriminator_norm: normalisation in the discriminator of images.
        generator: your own, from z (B, latent) to numbers of the door's shape, before any final tanh;
            with a condition it takes labels (B,) as a second argument.
        discriminator: your own, from an item as the door gives it (images in [-1, 1]) to a logit (B, 1).
    """
    if condition != "none" and not spec.classes:
        raise UserError(f"--condition {condition} needs labels, but this data has none. Name them with --label.")
    if spec.kind != "images" and {generator_norm, discriminator_norm} != {"none"}:
        raise UserError(f"normalisation is for the networks of images; those of {spec.kind} have none.")
    latent = latent or (100 if spec.kind == "images" else Door(spec).shape[0])
    shape, K = Door(spec).shape, len(spec.classes) if condition != "none" else 0
    if generator is not None:
        checked(generator, "generator", (latent,), shape, labels=K > 0)
    else:
        generator = _to_data(latent + K, shape, Sizes(width, depth, block, generator_norm))
        generator = Beside(generator, K) if K else generator
    if discriminator is not None:
        checked(discriminator, "discriminator", shape, (1,), labels=K > 0)
    else:
        discriminator = _critic(shape, K, condition, Sizes(width, depth, block, discriminator_norm))
    _refuse_slots(discriminator, objective, penalty, constraint)
    if constraint == "spectral":
        for module in discriminator.modules():
            if isinstance(module, WEIGHTED):
                spectral_norm(module)
    return GAN(
        spec,
        generator,
        discriminator,
        latent=latent,
        objective=objective,
        penalty=penalty,
        penalty_weight=penalty_weight,
        n_critic=n_critic,
        conditional=condition != "none",
    )


class Projection(nn.Module):
    """D(h, y) = v . phi(h) + e_y . phi(h) + c, with phi a network and e_y a vector learnt for each label."""

    def __init__(self, features: nn.Module, width: int, classes: int) -> None:
        super().__init__()
        self.features = features
        self.linear = nn.Linear(width, 1)
        self.embed = nn.Embedding(classes, width)

    def forward(self, h: Tensor, y: Tensor) -> Tensor:
        phi = F.leaky_relu(self.features(h), 0.2)
        return self.linear(phi) + (self.embed(y) * phi).sum(1, keepdim=True)


def _critic(shape: tuple[int, ...], classes: int, condition: Condition, sizes: Sizes) -> nn.Module:
    """The discriminator: from h, and labels where there are classes, to a logit."""
    if condition == "projection":
        features = max(128, sizes.width)
        return Projection(_from_data(shape, features, sizes), features, classes)
    if condition == "concat":
        return Beside(_from_data((shape[0] + classes, *shape[1:]), 1, sizes), classes)
    return _from_data(shape, 1, sizes)


def _from_data(shape: tuple[int, ...], outputs: int, sizes: Sizes) -> nn.Module:
    """(B, *shape) -> (B, outputs)."""
    if len(shape) == 1:
        return _perceptron(shape[0], outputs, sizes, partial(nn.LeakyReLU, 0.2))
    return _initialised(ConvEncoder(shape, outputs, sizes.width, sizes.block, sizes.norm), sizes)


def _to_data(inputs: int, shape: tuple[int, ...], sizes: Sizes) -> nn.Module:
    """(B, inputs) -> (B, *shape)."""
    if len(shape) == 1:
        return _perceptron(inputs, shape[0], sizes, nn.ReLU)
    return _initialised(ConvDecoder(inputs, shape, sizes.width, sizes.block, sizes.norm), sizes)


def _perceptron(inputs: int, outputs: int, sizes: Sizes, activation: Callable[[], nn.Module]) -> nn.Module:
    # Kinks matter: with a smooth activation of the plain network clusters stay blurred many times longer.
    if sizes.block == "residual":
        return ResidualMLP(inputs, outputs, sizes.width, sizes.depth)
    return mlp((inputs, *[sizes.width] * sizes.depth, outputs), activation)


def _initialised(network: nn.Module, sizes: Sizes) -> nn.Module:
    """DCGAN's networks start at N(0, 0.02) (section 4); where no batch norm makes up for it, that is too faint."""
    if sizes.block == "plain" and sizes.norm == "batch":
        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
                nn.init.normal_(module.weight, 0.0, 0.02)
            elif isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.weight, 1.0, 0.02)
    return network


def _refuse_slots(discriminator: nn.Module, objective: str, penalty: str, constraint: str) -> None:
    """Combinations that contradict themselves, each with its reason."""
    free = penalty == "none" and constraint == "none"
    if free and not OBJECTIVES[objective].bounded:
        raise UserError(
            f"the {objective} objective has no lowest value unless the discriminator's slopes are held: "
            "add --penalty wgan-gp or --constraint spectral."
        )
    if not free and has_batch_norm(discriminator):
        wants = f"--penalty {penalty}" if penalty != "none" else f"--constraint {constraint}"
        raise UserError(
            f"{wants} is about the slope of one item's logit, which batch normalisation mixes with the rest of "
            "its batch: choose --discriminator-norm none or group."
        )
