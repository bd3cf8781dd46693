"""Published GANs as data: objective, penalty, constraint, networks, and the numbers of Adam.

Points, tables and images want other numbers: the textbook's penalty weight of 10 and rate of 2e-4 are for
images; on standardised points the same penalty hides the clusters and the same rate takes ten times as long.

Differs from the papers: the networks of images are small enough for a CPU (DCGAN's layout, 32 channels at
the first halving), with batch normalisation in the generator of every one, which at a few thousand steps
is what makes strokes out of blots; R3GAN (`gan`) has none, and much deeper residual networks.
"""

from __future__ import annotations

from typing import Any

from ....recipe import Recipe
from .builders import gan

# Rows: small perceptrons, no momentum, a high rate that decays, and a short average: the game moves fast.
ROWS: dict[str, Any] = {
    "block": "plain",
    "width": 64,
    "batch_size": 256,
    "steps": 8000,
    "lr": 2e-3,
    "betas": (0.0, 0.99),
    "ema": 0.995,
}
# DCGAN's numbers (Radford et al. 2016, section 4); normalisation in its discriminator is an entry's own choice.
DCGAN: dict[str, Any] = {
    "block": "plain",
    "generator_norm": "batch",
    "width": 32,
    "batch_size": 64,
    "steps": 5000,
    "lr": 2e-4,
    "betas": (0.5, 0.999),
    "schedule": "constant",
}


def _rows(**numbers: Any) -> dict[str, dict[str, Any]]:
    return {"points": {**ROWS, **numbers}, "table": {**ROWS, **numbers}}


RECIPES = {
    "gan": Recipe(
        gan,
        summary="relativistic pairs with flat slopes at data and samples (R3GAN): the one to begin with",
        reference="Huang et al. (2024), arXiv:2501.05441",
        options={"objective": "relativistic", "penalty": "r1+r2"},
        by_kind={
            "images": {
                **DCGAN,
                "penalty_weight": 1.0,
                "lr": 4e-4,
                "betas": (0.0, 0.99),
                "schedule": "cosine",
            },
            **_rows(penalty_weight=0.01),
        },
    ),
    "ns-gan": Recipe(
        gan,
        summary="the original game with the generator's non-saturating loss, and R1",
        reference="Goodfellow et al. (2014), arXiv:1406.2661; R1 of Mescheder et al. (2018), arXiv:1801.04406",
        options={"objective": "nonsaturating", "penalty": "r1"},
        by_kind={"images": {**DCGAN, "penalty_weight": 10.0}, **_rows(penalty_weight=0.003)},
    ),
    "dcgan": Recipe(
        gan,
        summary="plain convolutions with batch normalisation in both networks",
        reference="Radford et al. (2016), arXiv:1511.06434",
        kinds=("images",),
        options={"objective": "nonsaturating", "penalty": "none", **DCGAN, "discriminator_norm": "batch"},
    ),
    "lsgan": Recipe(
        gan,
        summary="least squares to the labels 0 and 1, on DCGAN's networks",
        reference="Mao et al. (2017), arXiv:1611.04076",
        options={"objective": "lsgan", "penalty": "none"},
        by_kind={"images": {**DCGAN, "discriminator_norm": "batch"}, **_rows()},
    ),
    "sngan": Recipe(
        gan,
        summary="hinge losses and a discriminator of spectral norm 1",
        reference="Miyato et al. (2018), arXiv:1802.05957",
        options={"objective": "hinge", "penalty": "none", "constraint": "spectral"},
        by_kind={"images": DCGAN, **_rows()},
    ),
    "wgan-gp": Recipe(
        gan,
        summary="the earth mover's distance, slopes held to 1 between samples and data",
        reference="Gulrajani et al. (2017), arXiv:1704.00028",
        options={"objective": "wasserstein", "penalty": "wgan-gp"},
        by_kind={
            "images": {**DCGAN, "n_critic": 5, "penalty_weight": 10.0, "lr": 1e-4, "betas": (0.0, 0.9)},
            **_rows(n_critic=2, penalty_weight=0.1),
        },
    ),
}
