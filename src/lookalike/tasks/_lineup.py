"""Which recipes a comparison is of: those that are named, or a good one of each family that takes the data.

Families are found as recipes are, by a walk. `GOOD` says which of a family's recipes is its good one; a family that
is not in it takes part with its first recipe that needs no labels.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import UserError
from ..recipe import Recipe, find, recipes
from ..spec import Kind
from .catalog import family

GOOD: dict[Kind, tuple[str, ...]] = {
    "images": ("conv-ae", "pixelcnn", "realnvp", "vae", "aae", "r3"),
    "points": ("deep-ae", "ppca", "made", "spline", "vae", "aae", "r3"),
    "table": ("deep-ae", "ppca", "made", "maf", "vae", "aae", "r3"),
}


def lineup(kind: Kind, named: Sequence[str] | None) -> dict[str, Recipe]:
    """The recipes by name, in the order of their families or as they were named.

    Raises:
        UserError: one that is named is not there, is named twice, or does not take data of this kind.
    """
    if named is None:
        by_family: dict[str, Recipe] = {}
        for recipe in recipes().values():
            of = family(recipe)
            if kind in recipe.kinds and (of not in by_family or recipe.name in GOOD[kind]):
                by_family[of] = recipe
        return {recipe.name: recipe for _, recipe in sorted(by_family.items())}
    if len(set(named)) < len(named):
        twice = next(name for name in named if list(named).count(name) > 1)
        raise UserError(f"--recipes names {twice} twice.")
    return {name: find(name).resolved(kind) and find(name) for name in named}
