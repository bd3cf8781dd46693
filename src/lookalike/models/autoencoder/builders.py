"""Autoencoders for data of any kind and shape: linear, deep, convolutional."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Annotated, Literal, TypeGuard

from torch import nn

from ...errors import UserError
from ...nn.conv import ConvDecoder, ConvEncoder
from ...nn.corruption import Corruption, Damage
from ...nn.doors import Door
from ...nn.mlp import ACTIVATIONS, mlp
from ...nn.unet import UNet
from ...options import Range
from ...spec import Spec
from .autoencoder import Autoencoder, Transposed
from .denoising import DenoisingAutoencoder
from .restorer import Restorer
from .whatwhere import WhatWhere


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


def what_where(spec: Spec, *, latent: Annotated[int, Range(1)] = 32, width: Annotated[int, Range(1)] = 32) -> WhatWhere:
    """An autoencoder of convolutions with max-pooling and unpooling, for images of any size.

    Arguments:
        latent: numbers in the code.
        width: channels of the first convolution, doubled at each halving.
    """
    return WhatWhere(spec, latent, width)


def denoising_ae(
    spec: Spec,
    *,
    latent: Annotated[int, Range(1)] = 32,
    hidden: Annotated[tuple[int, ...], Range(1)] = (512, 256),
    activation: Literal["silu", "sigmoid"] = "silu",
    corruption: tuple[Damage, ...] = ("masking",),
    amount: Annotated[float | None, Range(0)] = None,
    blind: bool = False,
    pretrain: Annotated[int, Range(0)] = 0,
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
) -> DenoisingAutoencoder:
    """An autoencoder of perceptrons that is given what a corruption left of x.

    Arguments:
        latent: numbers in the code.
        hidden: units of each hidden layer of the encoder; the decoder has them in reverse.
        activation: of hidden layers.
        corruption: what happens to x: masking, salt-pepper or gaussian, of images also box, blur, shrink2, shrink4 and
            grey; of several, each happens to an even share of the items.
        amount: of masking, salt-pepper and box the share, of gaussian the deviation (of images in [0, 1], of columns in
            theirs), of blur the deviation in pixels; by default 0.3, a box of 0.25, a blur of 1.5.
        blind: draw the amount of each item, up to that, so that less of it is repaired as well.
        pretrain: steps for each layer by itself, from the first to the last, before those for the whole: of the steps
            in all there must be more than this times the layers.
        encoder: your own, from (B, *shape) to (B, latent); with pretrain a Sequential of layers.
        decoder: your own, from (B, latent) to (B, *shape); with pretrain a Sequential of as many, in reverse.
    """
    door = Door(spec)
    widths = [math.prod(door.shape), *hidden, latent]
    pairs = list(pairwise(widths))
    act = ACTIVATIONS[activation]
    if encoder is None:
        downs = [nn.Sequential(nn.Linear(n, m), act()) for n, m in pairs[:-1]] + [nn.Linear(*pairs[-1])]
        encoder = nn.Sequential(nn.Sequential(nn.Flatten(), downs[0]), *downs[1:])
    if decoder is None:
        ups = [nn.Sequential(nn.Linear(m, n), act()) for n, m in reversed(pairs[1:])]
        decoder = nn.Sequential(*ups, nn.Sequential(nn.Linear(widths[1], widths[0]), nn.Unflatten(1, door.shape)))
    if pretrain and not (stacked(encoder) and stacked(decoder) and len(encoder) == len(decoder)):
        raise UserError(
            "pretrain trains the layers one by one: give an encoder and a decoder that are nn.Sequential of as many "
            "layers, or leave pretrain out."
        )
    damage = Corruption(door, corruption, amount, blind=blind)
    return DenoisingAutoencoder(spec, encoder, decoder, latent, damage, pretrain)


def stacked(network: nn.Module) -> TypeGuard[nn.Sequential]:
    """Whether a network is layers one after the other."""
    return isinstance(network, nn.Sequential)


def restorer(
    spec: Spec,
    *,
    width: Annotated[int, Range(1)] = 32,
    levels: Annotated[int, Range(0, 5)] = 2,
    depth: Annotated[int, Range(1)] = 1,
    corruption: tuple[Damage, ...] = ("masking",),
    amount: Annotated[float | None, Range(0)] = None,
    blind: bool = False,
    network: nn.Module | None = None,
) -> Restorer:
    """A convolutional network with shortcuts that is given what corruptions left of an image, for any size.

    Arguments:
        width: channels of the finest level, doubled at each of the others.
        levels: halvings below the finest level, which itself is half of the image.
        depth: residual blocks at each level, on each way.
        corruption: what happens to images: masking, box, salt-pepper, gaussian, blur, shrink2, shrink4, grey; of
            several, each happens to an even share of the items.
        amount: of masking, salt-pepper and box the share, of gaussian the deviation in [0, 1], of blur the deviation in
            pixels; by default 0.3, a box of 0.25, a blur of 1.5.
        blind: draw the amount of each item, up to that, so that less of it is repaired as well.
        network: your own, from (B, C + 1, H, W), the last channel 1 where a pixel is void, to (B, C, H, W).
    """
    channels = spec.shape[0]
    damage = Corruption(Door(spec), corruption, amount, blind=blind)
    return Restorer(spec, network or UNet(channels + 1, channels, width, levels, depth), damage)
