"""Flows by name."""

from __future__ import annotations

from ....recipe import Recipe
from .realnvp import RealNVP

RECIPES: dict[str, Recipe] = {
    "realnvp": Recipe(
        RealNVP,
        summary="RealNVP: data from Gaussian noise by an invertible map; exact log p(x), codes and fast samples",
        reference="Dinh et al. (2017), arXiv:1605.08803",
        data="moons",
        training={"steps": 5000, "batch_size": 256, "lr": 2e-3},
        by_kind={"images": {"couplings": 4, "width": 48, "batch_size": 64, "lr": 1e-3}},
    ),
}
