"""The networks of a GAN from the data's shape, and its slots from plain values.

    images            convolutions, plain (Radford et al. 2016, arXiv:1511.06434) or residual
    points, tables    perceptrons, plain or residual
    concat            one-hot labels beside z and beside h        Mirza & Osindero 2014, arXiv:1411.1784
    projection        D(h, y) = v . phi(h) + e_y . phi(h) + c      Miyato & Koyama 2018, arXiv:1802.05637
    classifier        D tells the class too                        Odena et al. 2017, arXiv:1610.09585
    codes             D tells a part of z                          Chen et al. 2016, arXiv:1606.03657
    spectral          each weight over its largest singular value  Miyato et al. 2018, arXiv:1802.05957

The networks of the three before it are in `conditions`. Differs from the projection paper: the generator takes its
label beside z, not by batch normalisation.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Literal, NamedTuple

from torch import nn
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
from .conditions import Codes, Heads, Told
from .gan import GAN, has_batch_norm

Condition = Literal["none", "concat", "projection", "classifier"]


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
    class_weight: Annotated[float, Range(0, above=True)] = 1.0,
    categorical_codes: Annotated[tuple[int, ...] | None, Range(2)] = None,
    continuous_codes: Annotated[int, Range(0)] = 0,
    info_weight: Annotated[float, Range(0, above=True)] = 1.0,
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
        condition: how labels enter: not at all, beside the input, by projection in the discriminator, or as
            what the discriminator is to tell (classifier).
        class_weight: of telling the class, where condition is classifier.
        categorical_codes: sizes of codes that the generator is to show without labels, such as 10 or 10,4.
        continuous_codes: how many numbers it is to show.
        info_weight: of telling the codes.
        n_critic: turns of the discriminator before each of the generator.
        latent: length of the noise z; where not given, 100 for images and as many as a row's numbers.
        width: of the networks: channels at the first halving of an image, or hidden units of a row.
        depth: hidden layers or residual blocks for points and tables; images have one for each halving.
        block: plain layers, or residual ones.
        generator_norm: normalisation in the generator of images.
        discriminator_norm: normalisation in the discriminator of images.
        generator: your own, from z (B, latent) to numbers of the door's shape, before any final tanh;
            with a condition it takes labels (B,) as a second argument; codes are the last entries of z.
        discriminator: your own, from an item as the door gives it (images in [-1, 1]) to a logit (B, 1), and
            beside it a logit for each class to tell, for each category of a code, and mean and log deviation of
            each number; with concat or projection it takes labels (B,) as a second argument.
    """
    if condition != "none" and not spec.classes:
        raise UserError(f"--condition {condition} needs labels, but this data has none. Name them with --label.")
    if spec.kind != "images" and {generator_norm, discriminator_norm} != {"none"}:
        raise UserError(f"normalisation is for the networks of images; those of {spec.kind} have none.")
    latent = latent or (100 if spec.kind == "images" else Door(spec).shape[0])
    shape, K = Door(spec).shape, len(spec.classes) if condition != "none" else 0
    codes = Codes(tuple(categorical_codes or ()), continuous_codes)
    told = Told(K if condition == "classifier" else 0, codes, class_weight, info_weight)
    latent = latent + codes.width
    if generator is not None:
        checked(generator, "generator", (latent,), shape, labels=K > 0)
    else:
        generator = _to_data(latent + K, shape, Sizes(width, depth, block, generator_norm))
        generator = Beside(generator, K) if K else generator
    if discriminator is not None:
        checked(
            discriminator, "discriminator", shape, (1 + told.outputs,), labels=condition in ("concat", "projection")
        )
    else:
        discriminator = _critic(shape, K, condition, told, Sizes(width, depth, block, discriminator_norm))
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
        told=told,
    )


def _critic(shape: tuple[int, ...], classes: int, condition: Condition, told: Told, sizes: Sizes) -> nn.Module:
    """The discriminator: from h, and labels where it judges by them, to a logit and what it tells."""
    beside = classes if condition == "concat" else 0
    shape = (shape[0] + beside, *shape[1:])
    if condition == "projection" or told.outputs:
        width = max(128, sizes.width)
        projected = classes if condition == "projection" else 0
        network: nn.Module = Heads(_from_data(shape, width, sizes), width, projected, told.outputs)
    else:
        network = _from_data(shape, 1, sizes)
    return Beside(network, beside) if beside else network


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
