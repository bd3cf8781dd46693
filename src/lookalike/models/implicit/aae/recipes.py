"""Recipes of adversarial autoencoders; a named variant is an entry here."""

from __future__ import annotations

from ....recipe import Recipe
from .builders import aae

# The rows of a plane or a table lie near a curve or a surface: only with noise of its own does a code fill the prior.
ROWS = {"posterior": "gaussian", "width": 64, "batch_size": 256, "steps": 5000}

RECIPES = {
    "aae": Recipe(
        aae,
        "adversarial autoencoder: codes that a discriminator cannot tell from draws of a prior, any you can draw from",
        "Makhzani et al. (2015), arXiv:1511.05644",
        training={"steps": 8000, "betas": (0.5, 0.99)},
        by_kind={"points": {**ROWS, "latent": 2}, "table": {**ROWS, "latent": 4}},
    ),
}
