"""Verify a model: every audit of `lookalike.audits` that it can be held to, on its own weights.

A run is audited as it was trained, on items of its data. A recipe is audited small, with weights that are not
trained but all at work, on each kind of data it takes: images grey and in colour, with labels where it takes
them, points, and a table with gaps and categories.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..audits.base import Finding, Subject, UnfitError, shake
from ..audits.table import AUDITS
from ..errors import UserError
from ..models.base import Explicit, Implicit, Model, seeded
from ..options import options_of
from ..page import PICTURES
from ..pictures import grid
from ..recipe import Recipe, find, recipes
from ..report import Report
from ..run import Run
from ..spec import Column, Kind, Spec
from ..training.ema import averaged
from ._common import open_run, open_run_data, say
from ._output import counter, output, png, write

ITEMS = 6
"""Of the data, that a run is audited on."""

FAULTS = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""What a broken model may raise: that is a finding, and hides no other."""


BUILD = "build"


class Outcome(NamedTuple):
    """One audit of one model: its finding, or why there is none."""

    audit: str
    result: str
    finding: Finding | None
    note: str

    def json(self) -> dict[str, Any]:
        value = "" if self.finding is None else self.finding.value
        tolerance = "" if self.finding is None else self.finding.tolerance
        return {
            "audit": self.audit,
            "result": self.result,
            "value": value,
            "at most": tolerance,
            "what": self.note,
        }


def verify(
    run: str | Path | Run | Model | None = None,
    data: str | None = None,
    *,
    all: bool = False,
    out: Path | None = None,
    overwrite: bool = False,
    seed: int = 0,
    **how: Any,
) -> Report:
    """Audit a trained model, a recipe, or all of them: causality, inverses, bounds, total probability, sampling.

    The exit code is 1 where an audit failed. What an audit is, and how exactly it must hold, is in docs/verify.md.

    Example:
        lookalike verify runs/photos
        lookalike verify pixelcnn
        lookalike verify --all

    Arguments:
        run: folder of a trained model, or name of a recipe; in Python also a model.
        data: name or path of other data of the same kind to take items from; the run's own where it is left out.
        all: audit every recipe there is, small, on each kind of data it takes.
        out: a .png for what a pixel sees of an autoregressive model; in the run's pictures where it is left out.
        overwrite: replace that file where it exists.
        seed: of whatever is drawn.

    Raises:
        UserError: there is no such run or recipe, or the data do not fit.
    """
    path = None if out is None else output(out, out, (".png",), overwrite=overwrite)[0]
    if all == (run is not None):
        raise UserError("name a run or a recipe to verify, or give --all for every recipe: one of the two.")
    if run is None:
        return _table_of_many(_of_recipes(recipes(), seed))
    if isinstance(run, str) and not Path(run).exists() and run in recipes():
        return _table_of_many(_of_recipes({run: find(run)}, seed))
    opened: Run | None = None
    if isinstance(run, Model):
        model, name = run, type(run).__name__
    else:
        opened, model, _ = open_run(run, "cpu")
        name = str(opened.path)
        path = path or opened.path / PICTURES / "causality.png"
    subject, of = _of_run(opened, model, data, seed, how)
    outcomes = _audited(subject)
    files = [_drawn(path, outcome.finding) for outcome in outcomes if path and outcome.finding]
    return _table_of_one(name, of, outcomes, [file for file in files if file])


def _of_run(run: Run | None, model: Model, data: str | None, seed: int, how: Mapping[str, Any]) -> tuple[Subject, str]:
    """A trained model and items of its data, or of its own making where its data is not at hand."""
    model = copy.deepcopy(model).cpu().eval()
    try:
        if run is None and data is None:
            raise UserError("a model has no data of its own to take items from.")
        x, y = _items(run, model, data, seed, how)
        of = "items of its data" if data is None else f"items of {data}"
    except UserError as why:
        if data is not None or not isinstance(model, Explicit | Implicit):
            raise
        if run is not None:
            say(f"note: {why} So the items are the model's own samples.")
        y = torch.arange(ITEMS) % len(model.spec.classes) if model.conditional else None
        x, of = model.sample(ITEMS, y, seed=seed), "items it drew itself"
    y = y if model.conditional else None
    again = functools.partial(_emptied, model) if run is None else lambda: _emptied(run.load_model()[0])
    small = None
    if run is not None and not run.header["networks"]:  # networks of one's own are of one size
        small = functools.partial(_small, run.recipe, model.spec.classes, seed)
    numbers = None if run is None else run.recipe.numbers
    return Subject(model, x, y, again, small, seed, numbers, averaged), of


def _subject(recipe: Recipe, model: Model, x: Tensor, y: Tensor | None, seed: int) -> Subject:
    """A model of a resolved recipe, which can be built again, also small."""
    blank = functools.partial(recipe.model, model.spec)
    small = functools.partial(_small, recipe, model.spec.classes, seed)
    return Subject(model, x, y if model.conditional else None, blank, small, seed, recipe.numbers, averaged)


def _emptied(model: Model) -> Model:
    """A copy of a model whose saved state is all zeros."""
    again = copy.deepcopy(model)
    with torch.no_grad():
        for tensor in again.state_dict().values():
            tensor.zero_()
    return again


def _items(
    run: Run | None, model: Model, data: str | None, seed: int, how: Mapping[str, Any]
) -> tuple[Tensor, Tensor | None]:
    if run is not None:
        opened = open_run_data(run, data, **how)
    else:
        from ..data import open_data

        opened = open_data(data, like=model.spec, **how)
    split = next(split for split in (opened.valid, opened.train) if len(split) > 1)
    return split.thinned(ITEMS).first(ITEMS, seed)


def _of_recipes(known: Mapping[str, Recipe], seed: int) -> dict[str, dict[str, list[Outcome]]]:
    """The outcomes of each recipe on each kind of data; it takes minutes, so failures are said as they are found."""
    told, found = counter("auditing recipes"), {}
    for i, (name, recipe) in enumerate(known.items()):
        found[name] = dict(_of_recipe(recipe, seed))
        for failure in _failures({name: found[name]}):
            say(failure)
        told(i + 1, len(known))
    return found


def _of_recipe(recipe: Recipe, seed: int) -> Iterator[tuple[str, list[Outcome]]]:
    """A recipe on each kind of data it takes, by what that is."""
    labelled = "conditional" in options_of(recipe.build)
    needs_labels = recipe.options.get("condition", "none") != "none"
    for kind in recipe.kinds:
        for said, spec in SPECS[kind].items():
            given: dict[str, Any] = {"conditional": True} if labelled and spec.classes else {}
            if needs_labels:
                spec = dataclasses.replace(spec, classes=spec.classes or ("a", "b"))
            elif spec.classes and not labelled:
                continue
            try:
                resolved = recipe.resolved(kind, given)
                x, y = _invented(spec, seed)
                model = _small(resolved, spec.classes, seed, spec)
            except UserError as why:
                yield said, [Outcome(BUILD, "skipped", None, str(why))]
                continue
            except FAULTS as fault:
                yield said, [Outcome(BUILD, "FAILED", None, _words(fault))]
                continue
            yield said, _audited(_subject(resolved, model, x, y, seed))


def _small(recipe: Recipe, classes: tuple[str, ...], seed: int, spec: Spec) -> Model:
    """A model of a resolved recipe for other data, every weight of it at work."""
    spec = dataclasses.replace(spec, classes=classes)
    with seeded(seed, torch.device("cpu")):
        model: Model = recipe.model(spec)
    x, y = _invented(spec, seed)
    return shake(model, x, y, seed)


def _audited(subject: Subject) -> list[Outcome]:
    outcomes = []
    for name, audit in AUDITS.items():
        try:
            finding = audit(subject)
            outcomes.append(Outcome(name, "ok" if finding.ok else "FAILED", finding, finding.note))
        except (UnfitError, UserError) as why:
            outcomes.append(Outcome(name, "skipped", None, str(why)))
        except FAULTS as fault:
            outcomes.append(Outcome(name, "FAILED", None, _words(fault)))
    return outcomes


def _words(fault: Exception) -> str:
    return f"{type(fault).__name__}: {str(fault).partition(chr(10))[0]}"


def _table_of_one(name: str, of: str, outcomes: list[Outcome], files: list[str]) -> Report:
    done = [outcome for outcome in outcomes if outcome.result != "skipped"]
    failed = [outcome.audit for outcome in done if outcome.result == "FAILED"]
    return Report(
        f"{name}: {len(done) - len(failed)} of {len(done)} audits passed, on {of}",
        facts={"of": name, "passed": not failed, "failed": failed},
        rows=[outcome.json() for outcome in done],
        skipped={outcome.audit: outcome.note for outcome in outcomes if outcome.result == "skipped"},
        files=files,
        ok=not failed,
    )


def _table_of_many(found: Mapping[str, Mapping[str, list[Outcome]]]) -> Report:
    rows: list[dict[str, Any]] = []
    failures = _failures(found)
    for recipe, on in found.items():
        for said, outcomes in on.items():
            by = {result: [o for o in outcomes if o.result == result] for result in ("ok", "FAILED", "skipped")}
            why = [o.note for o in by["skipped"] if o.audit == BUILD]
            names = ", ".join(o.audit for o in by["ok"]) or " ".join(why)
            row = {"recipe": recipe, "on": said, "passed": len(by["ok"]), "failed": len(by["FAILED"])}
            rows.append({**row, "audits": names})
    passed = sum(row["passed"] for row in rows)
    whole = [{"recipe": r, "on": said, **o.json()} for r, on in found.items() for said, os in on.items() for o in os]
    return Report(
        f"{len(found)} recipe{'s' * (len(found) > 1)}: {passed} audits passed, {len(failures)} failed",
        facts={"passed": not failures, "findings": whole},
        rows=rows,
        notes=failures,
        ok=not failures,
    )


def _failures(found: Mapping[str, Mapping[str, list[Outcome]]]) -> list[str]:
    """A sentence on each audit that failed."""
    return [
        f"FAILED {recipe} on {said}: {outcome.audit}: {_measured(outcome)}"
        for recipe, on in found.items()
        for said, outcomes in on.items()
        for outcome in outcomes
        if outcome.result == "FAILED"
    ]


def _measured(outcome: Outcome) -> str:
    if outcome.finding is None:
        return outcome.note
    return f"{outcome.finding.value:.3g} where at most {outcome.finding.tolerance:.3g} is right ({outcome.note})"


def _drawn(path: Path, finding: Finding) -> str:
    """The picture of a finding, written; "" where it has none."""
    if finding.picture is None:
        return ""
    write(path, png(grid(finding.picture, title="what the blue pixel sees of the past; red: a leak")))
    return str(path)


_MIXED = (
    Column("age", mean=40.0, std=12.0),
    Column("pay", mean=900.0, std=300.0, missing=True),
    Column("town", ("Bern", "Oslo", "Rome")),
)
SPECS: Mapping[Kind, Mapping[str, Spec]] = {
    "images": {
        "binary images 8x8": Spec("images", (1, 8, 8), 2),
        "colour images 8x8": Spec("images", (3, 8, 8), 8),
        "labelled images 8x8": Spec("images", (1, 8, 8), 4, ("a", "b")),
    },
    "points": {"points": Spec("points", (2,), columns=(Column("x", mean=1.0, std=2.0), Column("y", std=0.5)))},
    "table": {"a table": Spec("table", (3,), columns=_MIXED)},
}
"""What a recipe is audited on."""


def _invented(spec: Spec, seed: int, n: int = 12) -> tuple[Tensor, Tensor | None]:
    """Items like any, and labels where there are classes."""
    draw = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % len(spec.classes) if spec.classes else None
    if spec.kind == "images":
        return torch.randint(spec.levels, (n, *spec.shape), generator=draw).float() / (spec.levels - 1), y
    x = torch.empty(n, len(spec.columns), dtype=torch.float64)
    for i, column in enumerate(spec.columns):
        if column.categories:
            x[:, i] = torch.randint(len(column.categories), (n,), generator=draw)
        else:
            x[:, i] = column.mean + column.std * torch.randn(n, generator=draw, dtype=torch.float64)
        if column.missing:
            x[::4, i] = torch.nan
    return x, y
