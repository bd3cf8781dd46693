"""Recipes of variational autoencoders; a named variant is an entry here."""

from __future__ import annotations

from ....recipe import Recipe
from .builders import ladder_vae, mlp_vae, vae
from .linear import linear_vae
from .vqvae import vqvae

# In the plane a code number is easily given up early: free bits keep it, a mixture sharpens the rest.
# A table may have a hundred rows: a small network and a low rate, or it learns them by heart.
POINTS = {"latent": 2, "free_bits": 0.5, "components": 4, "steps": 5000}
TABLE = {"latent": 4, "steps": 4000, "lr": 3e-4}
SMALL = {"points": {**POINTS, "width": 64, "depth": 2}, "table": {**TABLE, "width": 64, "depth": 2}}
# Many draws keep a code number by themselves, and their weights have no rate to spare.
WEIGHED = {kind: {**options, "free_bits": 0.0} for kind, options in SMALL.items()}

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
    "wide-mlp-vae": Recipe(
        mlp_vae,
        "the best of 1 M parameters: two hidden layers, 50 code numbers, trained by the bound of five draws",
        "Burda et al. (2016), arXiv:1509.00519, section 5; Tucker et al. (2019), arXiv:1810.04152",
        binarize="dynamic",
        options={"hidden": (384, 384), "activation": "silu", "latent": 50, "draws": 5, "gradient": "doubly"},
        training={"steps": 100_000, "batch_size": 128, "lr": 2e-3},
        by_kind={
            "points": {**POINTS, "free_bits": 0.0, "hidden": (128, 128), "lr": 1e-3},
            "table": {**TABLE, "hidden": (64, 64)},
        },
    ),
    "beta-vae": Recipe(
        vae,
        "a VAE that pays beta times the rate, for simpler and more separate codes",
        "Higgins et al. (2017), beta-VAE, ICLR",
        options={"beta": 4.0},
        training={"steps": 8000},
        by_kind=SMALL,
    ),
    "iwae": Recipe(
        vae,
        "a VAE trained by the importance-weighted bound of five draws, with the doubly reparametrised gradient",
        "Burda et al. (2016), arXiv:1509.00519; Tucker et al. (2019), arXiv:1810.04152",
        options={"draws": 5, "gradient": "doubly"},
        training={"steps": 8000},
        by_kind=WEIGHED,
    ),
    "cvae": Recipe(
        vae,
        "a VAE whose networks are both given the label: samples by class",
        "Sohn et al. (2015), Learning structured output representation, NeurIPS",
        options={"conditional": True},
        training={"steps": 8000},
        by_kind=SMALL,
    ),
    "ladder-vae": Recipe(
        ladder_vae,
        "a VAE with a ladder of codes from coarse to fine, each given those above: the strong default",
        "Sonderby et al. (2016), arXiv:1602.02282; Vahdat & Kautz (2020), NVAE, arXiv:2007.03898",
        binarize="dynamic",
        options={"kl_warmup": 2000},
        training={"steps": 20_000, "lr": 3e-3},
        by_kind={
            "points": {
                "latent": 2,
                "rungs": (2,),
                "width": 64,
                "components": 4,
                "kl_warmup": 500,
                "steps": 5000,
                "lr": 1e-3,
            },
            "table": {"latent": 2, "rungs": (2,), "width": 64, "kl_warmup": 500, "steps": 4000, "lr": 3e-4},
        },
    ),
    "linear-vae": Recipe(
        linear_vae,
        "one linear layer each way: probabilistic PCA, whose exact log p(x) its bound reaches",
        "Lucas et al. (2019), arXiv:1911.02469; Tipping & Bishop (1999)",
        options={"latent": 20},
        training={"steps": 5000, "lr": 3e-3},
        by_kind={"points": {"latent": 1, "steps": 3000}, "table": {"latent": 2, "steps": 3000}},
    ),
    "vqvae": Recipe(
        vqvae,
        "VQ-VAE: a small image of discrete codes, data for a prior of your choice (--prior pixelcnn)",
        "van den Oord et al. (2017), arXiv:1711.00937",
        kinds=("images",),
        training={"steps": 5000},
    ),
}
