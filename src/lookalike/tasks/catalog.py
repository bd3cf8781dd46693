"""What there is to choose from, read from the tables that the choices are made by: nothing is listed twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from ..recipe import Recipe, recipes
from ..report import Report

What = Literal["all", "recipes", "data", "metrics", "objectives"]
Row = dict[str, str]


def catalog(*, what: What = "all") -> Report:
    """List the recipes, data sets, metrics and objectives there are.

    Example:
        lookalike catalog
        lookalike catalog --what recipes

    Arguments:
        what: all, or only recipes, data, metrics or objectives.
    """
    lists = LISTS if what == "all" else {what: LISTS[what]}
    rows = [row for listed in lists.values() for row in listed()]
    counts: dict[str, int] = {}
    for row in rows:
        counts[row["kind"]] = counts.get(row["kind"], 0) + 1
    title = ", ".join(f"{count} {PLURAL[kind]}" for kind, count in counts.items())
    notes = ["In brackets is the data a recipe learns where none is named."] if "recipe" in counts else []
    return Report(title, facts={"what": what, "counts": counts}, rows=rows, notes=notes)


PLURAL = {
    "recipe": "recipes",
    "data": "data sets",
    "metric": "metrics",
    "objective": "GAN objectives",
    "penalty": "GAN penalties",
}


def family(recipe: Recipe) -> str:
    """The branch and family a recipe's builder lives in, as `approximate/vae`."""
    places = recipe.build.__module__.split(".")
    return "/".join(places[places.index("models") + 1 : -1])


def _recipes() -> list[Row]:
    listed = sorted(recipes().values(), key=lambda recipe: (family(recipe), recipe.name))
    return [
        _row("recipe", r.name, r.summary, f"{', '.join(r.kinds)} ({r.data})", family(r), r.reference) for r in listed
    ]


def _data() -> list[Row]:
    from ..data import DATASETS

    kinds = {"size": "images", "columns": "table"}  # an option that only that kind of data takes
    return [
        _row("data", name, entry.summary, next((kinds[o] for o in entry.takes if o in kinds), "points"))
        for name, entry in DATASETS.items()
    ]


def _metrics() -> list[Row]:
    from ..metrics import METRICS

    return [
        _row("metric", name, f"{entry.summary} ({entry.better} is better)", ", ".join(entry.kinds))
        for name, entry in METRICS.items()
    ]


def _objectives() -> list[Row]:
    from ..models.implicit.losses import OBJECTIVES, PENALTIES

    tables: tuple[tuple[str, Any], ...] = (("objective", OBJECTIVES), ("penalty", PENALTIES))
    return [_row(kind, name, entry.summary, "GANs") for kind, table in tables for name, entry in table.items()]


def _row(kind: str, name: str, summary: str, fits: str, branch: str = "", reference: str = "") -> Row:
    return {"kind": kind, "name": name, "family": branch, "for": fits, "summary": summary, "reference": reference}


LISTS: dict[str, Callable[[], list[Row]]] = {
    "recipes": _recipes,
    "data": _data,
    "metrics": _metrics,
    "objectives": _objectives,
}
