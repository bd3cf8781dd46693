"""What a model is told of the data: kind, shape, levels, classes, columns.

A `Spec` is plain data and is saved with every model, so that a saved model can turn what it makes
back into the user's own units without the data at hand.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

from .errors import UserError
from .plain import conform

Kind = Literal["images", "points", "table"]
KINDS: tuple[Kind, ...] = ("images", "points", "table")


@dataclass(frozen=True)
class Column:
    """One column of a table (or one coordinate of a point), outside a model one float64 number.

    A number is itself, NaN where it is missing. A category is its index in `categories`; a missing
    category is a category of its own, named "".

    Arguments:
        mean, std: of the training split, in the user's units; the door of a model standardises by them.
            std 0 marks a constant: there is nothing to model, and `mean` is its value.
        missing: whether NaN may occur (numbers only).
        decimals: how many decimals the user's file had, for writing samples back.
        date_format: of a date, as `strftime` takes it; its number is in seconds since 1970, UTC.
        grid: where one value is many rows', the step between values, origin + k * grid; 0 for a number that is
            spread enough to have a density.
        knots: of a number with a long tail or such a grid, pairs (x, w), both rising: a model sees w, straight
            from knot to knot and on beyond the last, which makes the training split a standard normal.
        shares: of the categories in the training split; of a number that may be missing, there and missing.
    """

    name: str
    categories: tuple[str, ...] = ()
    mean: float = 0.0
    std: float = 1.0
    missing: bool = False
    decimals: int | None = None
    date_format: str = ""
    grid: float = 0.0
    origin: float = 0.0
    knots: tuple[tuple[float, float], ...] = ()
    shares: tuple[float, ...] = ()


@dataclass(frozen=True)
class Spec:
    """What is known of one item x, outside a model.

    Arguments:
        kind: "images": x is float in [0, 1] on the grid k / (levels - 1);
            "points", "table": x is real, one entry a column, in the user's units.
        shape: of one item: (C, H, W), or (D,) with one entry a column.
        levels: of an image's intensities (2 for binary, 256 for bytes); 0 for points and tables.
        classes: names of the labels y = 0, 1, ...; empty where there are none.
        columns: one `Column` for each entry of a point or row; empty for images.
    """

    kind: Kind
    shape: tuple[int, ...]
    levels: int = 0
    classes: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()

    @property
    def dims(self) -> int:
        """Numbers in one item: C * H * W, or the count of columns."""
        dims = 1
        for size in self.shape:
            dims *= size
        return dims

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, saved: Any) -> Spec:
        """The spec that `to_json` gave.

        Raises:
            UserError: it did not give this, or it describes no data.
        """
        conform(saved, cls, "the spec")
        # An older file may lack what has a default.
        columns = tuple(_column(column) for column in saved.get("columns", ()))
        classes = tuple(saved.get("classes", ()))
        spec = cls(**{**saved, "shape": tuple(saved["shape"]), "classes": classes, "columns": columns})
        if spec.kind == "images":
            sound = len(spec.shape) == 3 and min(spec.shape) > 0 and 2 <= spec.levels <= 256
        else:
            sound = spec.shape == (len(columns),) and all(_sound(column) for column in columns)
        if not sound:
            raise UserError(f"the spec describes no data: {spec}, shape {spec.shape}.")
        return spec

    def __str__(self) -> str:
        if self.kind == "images":
            C, H, W = self.shape
            return f"images {H}x{W}, {C} channel{'s' * (C > 1)}, {self.levels} levels"
        categorical = sum(bool(c.categories) for c in self.columns)
        words = f"{self.kind} of {len(self.columns)} columns"
        return words + (f" ({categorical} categorical)" if categorical else "")


def _column(saved: dict[str, Any]) -> Column:
    knots = tuple((x, w) for x, w in saved.get("knots", ()))
    words, shares = tuple(saved.get("categories", ())), tuple(saved.get("shares", ()))
    return Column(**{**saved, "categories": words, "knots": knots, "shares": shares})


def _sound(column: Column) -> bool:
    rising = all(a[0] < b[0] and a[1] < b[1] for a, b in pairwise(column.knots))
    choices = len(column.categories) or 2
    shared = not column.shares or (len(column.shares) == choices and min(column.shares) > 0)
    return min(column.std, column.grid) >= 0 and len(column.knots) != 1 and rising and shared
