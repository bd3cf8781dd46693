"""Variational autoencoders for data of any kind and shape: the networks, and the likelihood that fits."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Literal

from torch import nn

from ....errors import UserError
from ....nn.beside import Beside
from ....nn.conv import ConvDecoder, ConvEncoder
from ....nn.doors import Door
from ....nn.firstbatch import Centred
from ....nn.likelihoods import Likelihood
from ....nn.mlp import ACTIVATIONS, ResidualMLP, mlp
from ....nn.rows import likelihood as likelihood_of
from ....options import Range
from ....spec import Spec
from .bound import Gradient, Objective
from .ladder import LadderVAE, scales_of
from .vae import VAE

LikelihoodName = Literal["auto", "bernoulli", "logistic", "gaussian"]
Shape = tuple[int, ...]
Activation = Literal["relu", "silu"]
Make = Callable[[Shape, Shape], nn.Module]
"""Makes a network from one shape to another."""


def vae(
    spec: Spec,
    *,
    latent: Annotated[int, Range(1)] = 32,
    width: Annotated[int, Range(1)] = 32,
    depth: Annotated[int, Range(1)] = 3,
    block: Literal["plain", "residual"] = "plain",
    likelihood: LikelihoodName = "auto",
    components: Annotated[int, Range(1)] = 1,
    conditional: bool = False,
    beta: Annotated[float, Range(0)] = 1.0,
    free_bits: Annotated[float, Range(0)] = 0.0,
    kl_warmup: Annotated[int, Range(0)] = 0,
    draws: Annotated[int, Range(1)] = 1,
    gradient: Gradient = "reparametrised",
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
) -> VAE:
    """A VAE with convolutions for images and residual perceptrons for points and tables.

    Arguments:
        latent: numbers in the code.
        width: channels of the first convolution (doubled at each halving), or units of a hidden layer.
        depth: residual blocks of the perceptrons; images have as many layers as halvings.
        block: plain or residual convolutions; the latter are slower and better.
        likelihood: of x given its code; auto takes bernoulli for binary images and logistic for others.
        components: Gaussians in the mixture for each number of a table or point.
        conditional: give the labels to both networks, so that samples can be asked for by class.
        beta: weight of the rate in training; above 1 for simpler codes, below 1 for sharper pictures.
        free_bits: nats of each code number's rate that training does not charge.
        kl_warmup: steps over which the weight of the rate rises from 0.
        draws: codes drawn for each item in training, which maximises the importance-weighted bound of so many.
        gradient: of the bound in the encoder; doubly reparametrised has less noise where draws are many.
        encoder: your own, from (B, *shape) to (B, 2 * latent); labels (B,) come second if conditional.
        decoder: your own, from (B, latent) to the likelihood's parameters; labels (B,) come second if conditional.
    """
    p_x = likelihood_of(spec, likelihood, components)
    objective = Objective(beta, free_bits, kl_warmup, draws, gradient)

    def encode(shape: Shape, code: Shape) -> nn.Module:
        if len(shape) == 3:
            return ConvEncoder(shape, code[0], width, block)
        return ResidualMLP(shape[0], code[0], width, depth)

    def decode(code: Shape, params: Shape) -> nn.Module:
        if len(params) == 3:
            return ConvDecoder(code[0], params, width, block)
        return ResidualMLP(code[0], params[0], width, depth)

    return assembled(spec, p_x, latent, objective, conditional, encoder or encode, decoder or decode)


def mlp_vae(
    spec: Spec,
    *,
    latent: Annotated[int, Range(1)] = 20,
    hidden: Annotated[tuple[int, ...], Range(1)] = (400,),
    activation: Activation = "relu",
    likelihood: LikelihoodName = "auto",
    components: Annotated[int, Range(1)] = 1,
    conditional: bool = False,
    beta: Annotated[float, Range(0)] = 1.0,
    free_bits: Annotated[float, Range(0)] = 0.0,
    kl_warmup: Annotated[int, Range(0)] = 0,
    draws: Annotated[int, Range(1)] = 1,
    gradient: Gradient = "reparametrised",
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
) -> VAE:
    """A VAE of plain perceptrons, as the usual first example has it (784-400-20 on MNIST).

    Arguments:
        latent: numbers in the code.
        hidden: units of each hidden layer of the encoder; the decoder has them in reverse.
        activation: of hidden layers; silu learns quicker where there are several, as none of its units die.
        likelihood: of x given its code; auto takes bernoulli for binary images and logistic for others.
        components: Gaussians in the mixture for each number of a table or point.
        conditional: give the labels to both networks, so that samples can be asked for by class.
        beta: weight of the rate in training; above 1 for simpler codes, below 1 for sharper pictures.
        free_bits: nats of each code number's rate that training does not charge.
        kl_warmup: steps over which the weight of the rate rises from 0.
        draws: codes drawn for each item in training, which maximises the importance-weighted bound of so many.
        gradient: of the bound in the encoder; doubly reparametrised has less noise where draws are many.
        encoder: your own, from (B, *shape) to (B, 2 * latent); labels (B,) come second if conditional.
        decoder: your own, from (B, latent) to the likelihood's parameters; labels (B,) come second if conditional.
    """
    p_x = likelihood_of(spec, likelihood, components)
    objective = Objective(beta, free_bits, kl_warmup, draws, gradient)

    def encode(shape: Shape, code: Shape) -> nn.Module:
        perceptron = mlp((math.prod(shape), *hidden, code[0]), ACTIVATIONS[activation])
        return nn.Sequential(Centred(shape), perceptron) if len(shape) == 3 else perceptron

    def decode(code: Shape, params: Shape) -> nn.Module:
        widths = (code[0], *hidden[::-1], math.prod(params))
        return nn.Sequential(mlp(widths, ACTIVATIONS[activation]), nn.Unflatten(1, params))

    return assembled(spec, p_x, latent, objective, conditional, encoder or encode, decoder or decode)


def ladder_vae(
    spec: Spec,
    *,
    latent: Annotated[int, Range(1)] = 8,
    rungs: Annotated[tuple[int, ...], Range(0)] = (2, 3, 2),
    width: Annotated[int, Range(1)] = 32,
    dropout: Annotated[float, Range(0, 0.99)] = 0.0,
    likelihood: LikelihoodName = "auto",
    components: Annotated[int, Range(1)] = 1,
    conditional: bool = False,
    beta: Annotated[float, Range(0)] = 1.0,
    free_bits: Annotated[float, Range(0)] = 0.0,
    kl_warmup: Annotated[int, Range(0)] = 0,
) -> LadderVAE:
    """A VAE whose code has many groups, each drawn given those above it, from coarse to fine.

    Arguments:
        latent: numbers of the code for each rung, and of an image for each of its places there.
        rungs: groups of the code at each size of the image, from the coarsest, about 4x4, on; finer sizes than are
            named have none. A row has one size, with all of them.
        width: channels at the finest size, twice as many at others; or units of a hidden layer.
        dropout: share of the features left out in training, against learning the items by heart.
        likelihood: of x given its code; auto takes bernoulli for binary images and logistic for others.
        components: Gaussians in the mixture for each number of a table or point.
        conditional: start the ladder from the label, so that samples can be asked for by class.
        beta: weight of the rate in training; above 1 for simpler codes, below 1 for sharper pictures.
        free_bits: nats of each rung's rate that training does not charge.
        kl_warmup: steps over which the weight of the rate rises from 0.
    """
    if not sum(scale.rungs for scale in scales_of(spec, rungs, width)):
        raise UserError("rungs: the first of them, those of the coarsest size, must not all be 0.")
    _needs_labels(spec, conditional)
    return LadderVAE(
        spec,
        likelihood_of(spec, likelihood, components),
        Objective(beta, free_bits, kl_warmup),
        latent=latent,
        rungs=rungs,
        width=width,
        dropout=dropout,
        conditional=conditional,
    )


def assembled(
    spec: Spec,
    p_x: Likelihood,
    latent: int,
    objective: Objective,
    conditional: bool,
    encoder: nn.Module | Make,
    decoder: nn.Module | Make,
) -> VAE:
    """A VAE of networks that are given, or made for the shapes, with labels beside what they take."""
    _needs_labels(spec, conditional)
    shape, K = Door(spec).shape, len(spec.classes) * conditional
    if not isinstance(encoder, nn.Module):
        encoder = encoder((shape[0] + K, *shape[1:]), (2 * latent,))
        encoder = Beside(encoder, K) if K else encoder
    if not isinstance(decoder, nn.Module):
        decoder = decoder((latent + K,), (p_x.width, *shape[1:]))
        decoder = Beside(decoder, K) if K else decoder
    return VAE(spec, encoder, decoder, p_x, latent, objective, conditional)


def _needs_labels(spec: Spec, conditional: bool) -> None:
    if conditional and not spec.classes:
        raise UserError("conditional needs labels, but this data has none. Name them with --label.")
