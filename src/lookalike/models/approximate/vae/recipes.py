"""Recipes of variational autoencoders; a named variant is an entry here."""

from __future__ import annotations

from ....recipe import Recipe
from .builders import mlp_vae, vae

# In the plane a code number is easily given up early: free bits keep it, a mixture sharpens the rest.
# A table may have a hundred rows: a small network and a low rate, or it learns them by heart.
POINTS = {"latent": 2, "free_bits": 0.5, "components": 4, "steps": 5000}
TABLE = {"latent": 4, "steps": 4000, "lr": 3e-4}
SMALL = {"points": {**POINTS, "width": 64, "depth": 2}, "table": {**TABLE, "width": 64, "depth": 2}}

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
        by_kind={"points": {**POINTS, "hidden": (128, 128)}, "table": {**TABLE, "hidden": (64, 64)}},
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
