"""Variational autoencoders for data of any kind and shape: the networks, and the likelihood that fits."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from torch import nn

from ....nn.conv import ConvDecoder, ConvEncoder
from ....nn.doors import Door
from ....nn.likelihoods import likelihood as likelihood_of
from ....nn.mlp import ResidualMLP, mlp
from ....options import Range
from ....spec import Spec
from .vae import VAE

LikelihoodName = Literal["auto", "bernoulli", "logistic", "gaussian"]


def vae(
    spec: Spec,
    *,
    latent: Annotated[int, Range(1)] = 32,
    width: Annotated[int, Range(1)] = 32,
    depth: Annotated[int, Range(1)] = 3,
    block: Literal["plain", "residual"] = "plain",
    likelihood: LikelihoodName = "auto",
    components: Annotated[int, Range(1)] = 1,
    beta: Annotated[float, Range(0)] = 1.0,
    free_bits: Annotated[float, Range(0)] = 0.0,
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
        beta: weight of the rate in training; above 1 for simpler codes, below 1 for sharper pictures.
        free_bits: nats of each code number's rate that training does not charge.
        encoder: your own, from (B, *shape) to (B, 2 * latent).
        decoder: your own, from (B, latent) to the likelihood's parameters.
    """
    p_x = likelihood_of(spec, likelihood, components)
    shape = Door(spec).shape
    if spec.kind == "images":
        encoder = encoder or ConvEncoder(shape, 2 * latent, width, block)
        decoder = decoder or ConvDecoder(latent, (p_x.width, *shape[1:]), width, block)
    else:
        encoder = encoder or ResidualMLP(shape[0], 2 * latent, width, depth)
        decoder = decoder or ResidualMLP(latent, p_x.width, width, depth)
    return VAE(spec, encoder, decoder, p_x, latent, beta, free_bits)


def mlp_vae(
    spec: Spec,
    *,
    latent: Annotated[int, Range(1)] = 20,
    hidden: Annotated[tuple[int, ...], Range(1)] = (400,),
    likelihood: LikelihoodName = "auto",
    components: Annotated[int, Range(1)] = 1,
    beta: Annotated[float, Range(0)] = 1.0,
    free_bits: Annotated[float, Range(0)] = 0.0,
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
) -> VAE:
    """A VAE of plain perceptrons, as the usual first example has it (784-400-20 on MNIST).

    Arguments:
        latent: numbers in the code.
        hidden: units of each hidden layer of the encoder; the decoder has them in reverse.
        likelihood: of x given its code; auto takes bernoulli for binary images and logistic for others.
        components: Gaussians in the mixture for each number of a table or point.
        beta: weight of the rate in training; above 1 for simpler codes, below 1 for sharper pictures.
        free_bits: nats of each code number's rate that training does not charge.
        encoder: your own, from (B, *shape) to (B, 2 * latent).
        decoder: your own, from (B, latent) to the likelihood's parameters.
    """
    p_x = likelihood_of(spec, likelihood, components)
    shape = Door(spec).shape
    params = (p_x.width, *shape[1:])
    encoder = encoder or mlp((math.prod(shape), *hidden, 2 * latent))
    decoder = decoder or nn.Sequential(mlp((latent, *hidden[::-1], math.prod(params))), nn.Unflatten(1, params))
    return VAE(spec, encoder, decoder, p_x, latent, beta, free_bits)
