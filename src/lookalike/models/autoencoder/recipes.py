"""Recipes of autoencoders."""

from __future__ import annotations

from ...recipe import Recipe
from .builders import conv_ae, deep_ae, linear_ae

SMALL = {"points": {"latent": 1}, "table": {"latent": 2}}

RECIPES = {
    "linear-ae": Recipe(
        linear_ae,
        "linear autoencoder: principal component analysis, learnt by gradient",
        "Baldi & Hornik (1989), Neural Networks 2, 53-58",
        training={"steps": 5000, "batch_size": 128},
        by_kind=SMALL,
    ),
    "deep-ae": Recipe(
        deep_ae,
        "deep autoencoder of perceptrons",
        "Hinton & Salakhutdinov (2006), Science 313, 504-507",
        training={"steps": 8000},
        by_kind=SMALL,
    ),
    "conv-ae": Recipe(
        conv_ae,
        "convolutional autoencoder for images",
        "Masci et al. (2011), Stacked convolutional auto-encoders, ICANN, 52-59",
        kinds=("images",),
        training={"steps": 5000},
    ),
}
