"""The VAEs' networks as the recipes have them, of nothing but torch, so that pythae's environment can have them."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from lookalike.nn.conv import ConvDecoder, ConvEncoder
from lookalike.nn.mlp import mlp

LATENT = {"mlp-vae": 20, "vae": 32}

NETWORKS: dict[str, Callable[[], tuple[nn.Module, nn.Module]]] = {
    "mlp-vae": lambda: (mlp((784, 400, 40)), nn.Sequential(mlp((20, 400, 784)), nn.Unflatten(1, (1, 28, 28)))),
    "vae": lambda: (ConvEncoder((1, 28, 28), 64, 32), ConvDecoder(32, (1, 28, 28), 32)),
}
"""Encoder to (B, 2 * latent) and decoder to logits, each for binary pictures of 28x28."""
