"""A trained model as plain values and the bytes of a safetensors file: what a pickle of an estimator holds."""

from __future__ import annotations

from typing import Any, TypedDict

import safetensors.torch

from ..errors import UserError
from ..models.base import Model
from ..recipe import Recipe, SavedRecipe
from ..spec import Spec


class Saved(TypedDict):
    """A trained model."""

    recipe: SavedRecipe
    spec: dict[str, Any]
    weights: bytes


def stored(recipe: Recipe, model: Model) -> Saved:
    """A model of a resolved recipe as plain values and bytes."""
    weights = {name: value.cpu().contiguous().clone() for name, value in model.state_dict().items()}
    return {"recipe": recipe.to_json(), "spec": model.spec.to_json(), "weights": safetensors.torch.save(weights)}


def restored(held: Saved) -> tuple[Recipe, Model]:
    """The recipe and the model that `stored` gave, in eval mode on the CPU.

    Raises:
        UserError: it is not of this Lookalike.
    """
    recipe = Recipe.from_json(held["recipe"])
    model: Model = recipe.model(Spec.from_json(held["spec"]))
    try:
        model.load_state_dict(safetensors.torch.load(held["weights"]))
    except RuntimeError:
        raise UserError("the estimator was saved by another Lookalike, whose model was another: fit it anew.") from None
    return recipe, model.eval()
