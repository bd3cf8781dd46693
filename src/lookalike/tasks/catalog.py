"""What there is to choose from, read from the tables that the choices are made by: nothing is listed twice.

A recipe's name shows it as data, every value it trains with on each kind of data; a second one's, in what they differ.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from ..errors import UserError
from ..recipe import Recipe, find, recipes
from ..report import Report

What = Literal["all", "recipes", "data", "metrics", "objectives", "scores"]
Row = dict[str, str]


def catalog(recipe: str | None = None, other: str | None = None, *, what: What = "all") -> Report:
    """List the recipes, data sets, metrics, objectives and scores there are, show a recipe, or compare two.

    Example:
        lookalike catalog
        lookalike catalog --what recipes
        lookalike catalog wgan-gp
        lookalike catalog wgan wgan-gp

    Arguments:
        recipe: to show whole: every option and number, on each kind of data.
        other: a second recipe; then only what differs is shown.
        what: all, or only recipes, data, metrics, objectives or scores of how odd items are.

    Raises:
        UserError: there is no such recipe, or the two take no kind of data in common.
    """
    if recipe is not None:
        return _shown(find(recipe)) if other is None else _compared(find(recipe), find(other))
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
    "score": "scores",
}


def family(recipe: Recipe) -> str:
    """The branch and family a recipe's builder lives in, as `approximate/vae`."""
    places = recipe.build.__module__.split(".")
    return "/".join(places[places.index("models") + 1 : -1])


def _values(recipe: Recipe, kind: Any) -> dict[str, Any]:
    """What a recipe is on one kind of data, flat: the options of its builder, then the numbers of its training."""
    resolved = recipe.resolved(kind)
    return {**resolved.options, **resolved.training}


def _shown(recipe: Recipe) -> Report:
    of = {kind: _values(recipe, kind) for kind in recipe.kinds}
    rows = [{"value": name, **{kind: _word(of[kind][name]) for kind in of}} for name in next(iter(of.values()))]
    facts = {
        "recipe": recipe.name,
        "summary": recipe.summary,
        "reference": recipe.reference,
        "data": recipe.data,
        "by_kind": {kind: recipe.resolved(kind).to_json() for kind in recipe.kinds},
    }
    return Report(f"{recipe.name}: {recipe.summary}. {recipe.reference}.", facts, rows=rows)


def _compared(a: Recipe, b: Recipe) -> Report:
    kinds = [kind for kind in a.kinds if kind in b.kinds]
    if not kinds:
        raise UserError(
            f"{a.name} is for {', '.join(a.kinds)}, and {b.name} for {', '.join(b.kinds)}: nothing to compare."
        )
    rows, differences = [], {}
    for kind in kinds:
        one, two = _values(a, kind), _values(b, kind)
        names = [name for name in {**one, **two} if one.get(name, ABSENT) != two.get(name, ABSENT)]
        differences[kind] = {name: [one.get(name), two.get(name)] for name in names}
        rows += [
            {"on": kind, "value": name, a.name: _word(one.get(name, ABSENT)), b.name: _word(two.get(name, ABSENT))}
            for name in names
        ]
    facts = {"recipes": [a.name, b.name], "differences": differences}
    alike = "" if rows else ", which do not differ"
    return Report(f"{a.name} ({a.reference}) and {b.name} ({b.reference}){alike}", facts, rows=rows)


ABSENT = "-"
"""Of an option that only the other builder has."""


def _word(value: Any) -> str:
    """A value as a flag takes it."""
    if isinstance(value, tuple | list):
        return ",".join(map(_word, value))
    if isinstance(value, dict):
        return ",".join(f"{name}={_word(v)}" for name, v in value.items())
    return f"{value:g}" if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else str(value)


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
    from ..models.implicit.losses import OBJECTIVES
    from ..models.implicit.penalties import PENALTIES

    tables: tuple[tuple[str, Any], ...] = (("objective", OBJECTIVES), ("penalty", PENALTIES))
    return [_row(kind, name, entry.summary, "GANs") for kind, table in tables for name, entry in table.items()]


def _scores() -> list[Row]:
    from ..scores.table import SCORES

    return [_row("score", name, score.summary, "") for name, score in SCORES.items()]


def _row(kind: str, name: str, summary: str, fits: str, branch: str = "", reference: str = "") -> Row:
    return {"kind": kind, "name": name, "family": branch, "for": fits, "summary": summary, "reference": reference}


LISTS: dict[str, Callable[[], list[Row]]] = {
    "recipes": _recipes,
    "data": _data,
    "metrics": _metrics,
    "objectives": _objectives,
    "scores": _scores,
}
