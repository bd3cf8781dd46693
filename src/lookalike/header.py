"""What a run folder's run.json says, and each line of its log: plain data, and checked as such when it is read."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

from .recipe import SavedRecipe
from .spec import Spec

FORMAT = 1

QUIET = ("gradient_norm", "lr", "items_per_second", "rate_", "update_ratio")
"""How the figures begin that are in the log, but are not told of a model."""


JUDGED_BY = ("bits_per_dim", "mse")
"""The validation figures by which one milestone of a training is better than another; less is better."""


class SavedData(TypedDict):
    """What run.json says of the data.

    `name` is as the user wrote it, `where` is what opens it from any folder: a name, or a path from the root.
    """

    name: str
    where: str
    line: str
    options: dict[str, Any]
    fingerprint: str
    notes: list[str]
    reopens: bool


class Record(TypedDict):
    """What every line of the log says; the figures come after."""

    step: int
    seconds: float
    split: Literal["train", "valid", "health"]


class Header(TypedDict):
    """What run.json says."""

    format: Literal[1]
    recipe: SavedRecipe
    spec: Spec
    data: SavedData
    seed: int
    networks: list[str]
    reference: NotRequired[str]
    command: NotRequired[str]
    environment: NotRequired[dict[str, Any]]
