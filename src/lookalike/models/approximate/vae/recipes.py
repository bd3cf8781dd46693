"""Recipes of variational autoencoders; a named variant is an entry here."""

from __future__ import annotations

from ....recipe import Recipe
from .builders import mlp_vae, vae

# On few dimensions a code number is easily given up early: free bits keep it, a mixture sharpens the rest.
SMALL = {
    "points": {"latent": 2, "width": 64, "depth": 2, "free_bits": 0.5, "components": 4},
    "table": {"latent": 8, "width": 128, "free_bits": 0.1, "components": 2},
}
OF_PERCEPTRONS = {
    kind: {"hidden": (128, 128), **{name: options[name] for name in ("latent", "free_bits", "components")}}
    for kind, options in SMALL.items()
}

RECIPES = {
    "vae": Recipe(
        vae,
        "variational autoencoder: convolutions for images, residual perceptrons for points and tables",
        "Kingma & Welling (2014), arXiv:1312.6114",
        training={"steps": 8000},
        by_kind=SMALL,
    ),
    "mlp-vae": Recipe(
        mlp_vae,
        "the usual first example of a VAE, 784-400-20 with Bernoulli pixels",
        "Kingma & Welling (2014), arXiv:1312.6114",
        binarize="dynamic",
        training={"steps": 10_000, "batch_size": 128},
        by_kind=OF_PERCEPTRONS,
    ),
    "beta-vae": Recipe(
        vae,
        "a VAE that pays beta times the rate, for simpler and more separate codes",
        "Higgins et al. (2017), beta-VAE, ICLR",
        options={"beta": 4.0},
        training={"steps": 8000},
        by_kind=SMALL,
    ),
}
