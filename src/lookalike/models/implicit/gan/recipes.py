"""Published GANs as data: objective, penalty, constraint, networks, and the numbers of Adam.

Points, tables and images want other numbers: the textbook's penalty weight of 10 and rate of 2e-4 are for
images; on standardised points the same penalty hides the clusters and the same rate takes ten times as long.

Differs from the papers: the networks of images are small enough for a CPU (DCGAN's layout, 32 channels at
the first halving), with batch normalisation in the generator of every one, which at a few thousand steps
is what makes strokes out of blots; R3GAN (`r3`) has none, and much deeper residual networks. WGAN clips at 0.03
where its paper has 0.01, for networks this small; BEGAN pulls codes apart as EBGAN does, or a short training keeps
few kinds.
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


# InfoGAN's rates (Chen et al. 2016, appendix C.1): what a label or a code asks for is there in a tenth of the steps.
LABELLED: dict[str, Any] = {
    **DCGAN,
    "penalty": "none",
    "discriminator_norm": "batch",
    "lr": {"discriminator": 2e-4, "generator": 1e-3},
}


def _rows(**numbers: Any) -> dict[str, dict[str, Any]]:
    return {"points": {**ROWS, **numbers}, "table": {**ROWS, **numbers}}


RECIPES = {
    "r3": Recipe(
        gan,
        summary="relativistic pairs with flat slopes at data and samples (R3GAN): the one to begin with",
        reference="Huang et al. (2024), arXiv:2501.05441",
        options={"objective": "relativistic", "penalty": "r1+r2"},
        by_kind={
            "images": {
                **DCGAN,
                "penalty_weight": 1.0,
                "penalty_every": 4,  # a step costs half, and is worth as much
                "lr": 4e-4,
                "betas": (0.0, 0.99),
                "schedule": "cosine",
            },
            "points": {**ROWS, "penalty_weight": 0.003, "steps": 20_000, "ema": 0.999},
            "table": {**ROWS, "penalty_weight": 0.01},
        },
    ),
    "r1": Recipe(
        gan,
        summary="the original game with the generator's non-saturating loss, and flat slopes at data",
        reference="Mescheder et al. (2018), arXiv:1801.04406",
        options={"objective": "nonsaturating", "penalty": "r1"},
        by_kind={"images": {**DCGAN, "penalty_weight": 10.0}, **_rows(penalty_weight=0.003)},
    ),
    "gan": Recipe(
        gan,
        summary="the original game as it was written: minimax, and plain gradient descent with momentum",
        reference="Goodfellow et al. (2014), arXiv:1406.2661, algorithm 1",
        options={"objective": "minimax", "penalty": "none", "optimiser": "sgd"},
        by_kind={
            "images": {**DCGAN, "betas": (0.5, 0.999), "lr": 1e-2},
            # Where the discriminator is ahead the generator learns nothing, and where it lags nothing is to be learnt.
            **_rows(betas=(0.5, 0.99), lr={"generator": 2e-2, "discriminator": 1e-1}),
        },
    ),
    "ns-gan": Recipe(
        gan,
        summary="the original game, whose generator maximises log D so that it learns while it is losing",
        reference="Goodfellow et al. (2014), arXiv:1406.2661, section 3",
        options={"objective": "nonsaturating", "penalty": "none"},
        by_kind={"images": {**DCGAN, "discriminator_norm": "batch"}, **_rows()},
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
    "wgan": Recipe(
        gan,
        summary="the earth mover's distance, the discriminator's weights clipped to hold its slopes",
        reference="Arjovsky et al. (2017), arXiv:1701.07875",
        options={"objective": "wasserstein", "penalty": "none", "constraint": "clip", "optimiser": "rmsprop"},
        by_kind={
            "images": {**DCGAN, "n_critic": 5, "bound": 0.03, "lr": 3e-4, "betas": (0.0, 0.99)},
            **_rows(n_critic=5, bound=0.1, lr=5e-4),
        },
    ),
    "dragan": Recipe(
        gan,
        summary="the original game with slopes held to 1 around the data",
        reference="Kodali et al. (2017), arXiv:1705.07215",
        options={"objective": "nonsaturating", "penalty": "dragan"},
        by_kind={"images": {**DCGAN, "penalty_weight": 10.0, "lr": 5e-4}, **_rows(penalty_weight=0.1)},
    ),
    "ebgan": Recipe(
        gan,
        summary="an autoencoder judges by its error, low at data and up to a margin at samples; codes pulled apart",
        reference="Zhao et al. (2016), arXiv:1609.03126",
        options={"objective": "energy", "critic": "autoencoder", "penalty": "none", "pull_away": 0.1},
        by_kind={"images": {**DCGAN, "margin": 1.0}, **_rows(margin=1.0)},
    ),
    "began": Recipe(
        gan,
        summary="an autoencoder's error at samples is held at a share of that at data",
        reference="Berthelot et al. (2017), arXiv:1703.10717",
        kinds=("images",),  # of a few numbers an autoencoder tells no clusters apart: one or two of eight are kept
        options={
            "objective": "boundary",
            "critic": "autoencoder",
            "error": "absolute",
            "penalty": "none",
            **DCGAN,
            "generator_norm": "none",
            "lr": 1e-3,
            "diversity": 0.9,
            "gain": 0.01,
            "pull_away": 0.1,
        },
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
    "cgan": Recipe(
        gan,
        summary="labels beside the noise and beside what is judged",
        reference="Mirza & Osindero (2014), arXiv:1411.1784",
        options={"objective": "nonsaturating", "penalty": "r1", "condition": "concat"},
        by_kind={"images": LABELLED, **_rows(penalty_weight=0.003)},
    ),
    "acgan": Recipe(
        gan,
        summary="the discriminator tells the class of data and of samples too",
        reference="Odena et al. (2017), arXiv:1610.09585",
        options={"objective": "nonsaturating", "penalty": "r1", "condition": "classifier"},
        by_kind={"images": LABELLED, **_rows(penalty_weight=0.003)},
    ),
    "projection": Recipe(
        gan,
        summary="labels enter the discriminator by a product with what it sees; hinge losses, spectral norm 1",
        reference="Miyato & Koyama (2018), arXiv:1802.05637",
        options={"objective": "hinge", "penalty": "none", "constraint": "spectral", "condition": "projection"},
        by_kind={"images": {**DCGAN, "lr": {"discriminator": 4e-4, "generator": 1e-3}}, **_rows()},
    ),
    "infogan": Recipe(
        gan,
        summary="codes that the generator must show and the discriminator's body reads: classes without labels",
        reference="Chen et al. (2016), arXiv:1606.03657",
        options={"objective": "nonsaturating", "penalty": "r1"},
        by_kind={
            "images": {**LABELLED, "latent": 62, "categorical_codes": (10,), "continuous_codes": 2},
            **_rows(penalty_weight=0.003, categorical_codes=(4,)),
        },
    ),
    "pacgan": Recipe(
        gan,
        summary="the discriminator sees two items at once, so that samples may not be more alike than data",
        reference="Lin et al. (2018), arXiv:1712.04086",
        options={"objective": "nonsaturating", "penalty": "none", "pack": 2},
        by_kind={"images": {**DCGAN, "discriminator_norm": "batch"}, **_rows()},
    ),
}
