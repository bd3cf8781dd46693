"""Recipes of autoencoders."""

from __future__ import annotations

from ...recipe import Recipe
from .builders import conv_ae, deep_ae, denoising_ae, linear_ae, restorer, what_where

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
    "wide-ae": Recipe(
        deep_ae,
        "autoencoder of rows whose code is wide and whose training short, so that odd rows are not learnt: for detect",
        "Hinton & Salakhutdinov (2006), Science 313, 504-507",
        kinds=("points", "table"),
        options={"latent": 32, "hidden": (64,)},
        training={"steps": 300, "batch_size": 128, "warmup": 20},
    ),
    "conv-ae": Recipe(
        conv_ae,
        "convolutional autoencoder for images",
        "Masci et al. (2011), Stacked convolutional auto-encoders, ICANN, 52-59",
        kinds=("images",),
        training={"steps": 5000},
    ),
    "what-where": Recipe(
        what_where,
        "convolutional autoencoder with max-pooling, and unpooling to where it was",
        "Zhao et al. (2016), arXiv:1506.02351; Zeiler et al. (2011), ICCV",
        kinds=("images",),
        training={"steps": 5000},
    ),
    "denoising-ae": Recipe(
        denoising_ae,
        "denoising autoencoder: given what a corruption left of x, by default 70 % of it",
        "Vincent et al. (2010), Stacked denoising autoencoders, JMLR 11, 3371-3408",
        training={"steps": 8000},
        by_kind={"points": {"latent": 8}, "table": {"latent": 16}},
    ),
    "stacked-ae": Recipe(
        denoising_ae,
        "stacked denoising autoencoder: sigmoid layers, each trained by itself before the whole",
        "Vincent et al. (2010), Stacked denoising autoencoders, JMLR 11, 3371-3408",
        options={"hidden": (512, 256, 128), "activation": "sigmoid", "pretrain": 200},
        training={"steps": 10_000},
        by_kind={kind: {"hidden": (64, 32), "latent": latent} for kind, latent in (("points", 8), ("table", 16))},
    ),
    "restorer": Recipe(
        restorer,
        "network with shortcuts that undoes corruptions of images: noise, gaps, blur, low resolution, no colours",
        "Mao et al. (2016), arXiv:1606.08921; Ronneberger et al. (2015), arXiv:1505.04597",
        kinds=("images",),
        training={"steps": 4000, "lr": 2e-3},
    ),
}
