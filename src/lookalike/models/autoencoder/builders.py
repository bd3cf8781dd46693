"""Autoencoders for data of any kind and shape: linear, deep, convolutional."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from torch import nn

from ...nn.conv import ConvDecoder, ConvEncoder
from ...nn.doors import Door
from ...nn.mlp import mlp
from ...options import Range
from ...spec import Spec
from .autoencoder import Autoencoder, Transposed


def linear_ae(spec: Spec, *, latent: Annotated[int, Range(1)] = 32, tied: bool = True) -> Autoencoder:
    """A linear autoencoder, x_hat = W' W x + mean: the same plane as principal component analysis.

    Arguments:
        latent: numbers in the code.
        tied: whether the decoder's weight is the encoder's, transposed, or its own.
    """
    shape = Door(spec).shape
    down = nn.Linear(math.prod(shape), latent)
    up = Transposed(down) if tied else nn.Linear(latent, math.prod(shape))
    encoder, decoder = nn.Sequential(nn.Flatten(), down), nn.Sequential(up, nn.Unflatten(1, shape))
    model = Autoencoder(spec, encoder, decoder, latent)
    model.bf16 = False  # its plane would be 2e-3 rad from the principal one, and bf16 is no faster here
    return model


def deep_ae(
    spec: Spec,
    *,
    latent: Annotated[int, Range(1)] = 32,
    hidden: Annotated[tuple[int, ...], Range(1)] = (512, 256),
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
) -> Autoencoder:
    """An autoencoder of perceptrons.

    Arguments:
        latent: numbers in the code.
        hidden: units of each hidden layer of the encoder; the decoder has them in reverse.
        encoder: your own, from (B, *shape) to (B, latent).
        decoder: your own, from (B, latent) to (B, *shape).
    """
    shape = Door(spec).shape
    encoder = encoder or mlp((math.prod(shape), *hidden, latent), nn.SiLU)
    decoder = decoder or nn.Sequential(mlp((latent, *hidden[::-1], math.prod(shape)), nn.SiLU), nn.Unflatten(1, shape))
    return Autoencoder(spec, encoder, decoder, latent)


def conv_ae(
    spec: Spec,
    *,
    latent: Annotated[int, Range(1)] = 32,
    width: Annotated[int, Range(1)] = 32,
    block: Literal["plain", "residual"] = "plain",
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
) -> Autoencoder:
    """An autoencoder of convolutions, for images of any size.

    Arguments:
        latent: numbers in the code.
        width: channels of the first convolution, doubled at each halving.
        block: plain or residual convolutions; the latter are slower and better.
        encoder: your own, from (B, C, H, W) to (B, latent).
        decoder: your own, from (B, latent) to (B, C, H, W).
    """
    encoder = encoder or ConvEncoder(spec.shape, latent, width, block)
    decoder = decoder or ConvDecoder(latent, spec.shape, width, block)
    return Autoencoder(spec, encoder, decoder, latent)
