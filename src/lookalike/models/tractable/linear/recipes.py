"""Factor analysis and probabilistic PCA by name.

Both are solved before the first step (`Solved`), so one step, too short to move anything, makes the run whole. A
longer training goes on by gradient from the solution.
"""

from __future__ import annotations

from typing import Annotated

from ....options import Range
from ....recipe import Recipe
from ....spec import Spec
from .gaussian import LinearGaussian


def factor_analysis(spec: Spec, *, latent: Annotated[int, Range(1)] = 2) -> LinearGaussian:
    """Factor analysis.

    Arguments:
        latent: factors; no more than one fewer than there are numbers are used.
    """
    return LinearGaussian(spec, latent, isotropic=False)


def ppca(spec: Spec, *, latent: Annotated[int, Range(1)] = 2, standardise: bool = True) -> LinearGaussian:
    """Probabilistic principal component analysis.

    Arguments:
        latent: components; no more than one fewer than there are numbers are used.
        standardise: whether columns count in standard deviations, or as they are, in one unit for all.
    """
    return LinearGaussian(spec, latent, isotropic=True, standardise=standardise)


SOLVED = {"steps": 1, "optimiser": "sgd", "lr": 1e-6}

RECIPES: dict[str, Recipe] = {
    "factor-analysis": Recipe(
        factor_analysis,
        summary="factor analysis: numbers from a few Gaussian factors and a noise each; solved, exact log p(x)",
        reference="Rubin & Thayer (1982), Psychometrika 47, 69-76",
        kinds=("points", "table"),
        data="wine",
        training=SOLVED,
    ),
    "ppca": Recipe(
        ppca,
        summary="probabilistic PCA: principal components as a density; solved, exact log p(x)",
        reference="Tipping & Bishop (1999), JRSS B 61, 611-622",
        kinds=("points", "table"),
        data="wine",
        training=SOLVED,
    ),
}
