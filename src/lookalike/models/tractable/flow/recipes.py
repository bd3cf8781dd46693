"""Flows by name."""

from __future__ import annotations

from ....recipe import Recipe
from .builders import glow, iaf, maf, nice, realnvp, spline

TRAINING = {"steps": 5000, "batch_size": 256, "lr": 2e-3}
IMAGES = {"couplings": 4, "width": 48, "batch_size": 64, "lr": 1e-3}

RECIPES: dict[str, Recipe] = {
    "realnvp": Recipe(
        realnvp,
        summary="RealNVP: data from Gaussian noise by an invertible map; exact log p(x), codes and fast samples",
        reference="Dinh et al. (2017), arXiv:1605.08803",
        data="moons",
        training=TRAINING,
        by_kind={"images": IMAGES},
    ),
    "nice": Recipe(
        nice,
        summary="NICE: the first flow, additive couplings of constant volume and one scaling",
        reference="Dinh et al. (2015), arXiv:1410.8516",
        data="moons",
        training=TRAINING,
        by_kind={"images": {"batch_size": 64, "lr": 1e-3}},
    ),
    "glow": Recipe(
        glow,
        summary="Glow: a flow with learnt 1x1 convolutions between its couplings, and learnt priors at each scale",
        reference="Kingma & Dhariwal (2018), arXiv:1807.03039",
        training=TRAINING,
        by_kind={"images": IMAGES},
    ),
    "maf": Recipe(
        maf,
        summary="Masked autoregressive flow: one pass to score, a pass for each number to sample; strong on tables",
        reference="Papamakarios et al. (2017), arXiv:1705.07057",
        data="moons",
        training={**TRAINING, "lr": 1e-3},
        by_kind={"images": {"width": 512, "batch_size": 64}},
    ),
    "iaf": Recipe(
        iaf,
        summary="Inverse autoregressive flow: one pass to sample, a pass for each number to score",
        reference="Kingma et al. (2016), arXiv:1606.04934",
        kinds=("points", "table"),
        data="moons",
        training={**TRAINING, "lr": 1e-3},
    ),
    "spline": Recipe(
        spline,
        summary="Neural spline flow: couplings that bend, by rational-quadratic splines; the best flow for few columns",
        reference="Durkan et al. (2019), arXiv:1906.04032",
        data="moons",
        training={**TRAINING, "lr": 1e-3},
        by_kind={"images": {"couplings": 4, "width": 48, "batch_size": 64}},
    ),
}
