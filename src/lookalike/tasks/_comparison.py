"""What came of a comparison, and the two tables it is written as."""

from __future__ import annotations

import csv as lines
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..data.base import Data
from ..recipe import Recipe
from ._advice import better
from ._ranking import Figure, best, figures, groups
from .catalog import family

UNRANKED = ("copying", "frechet_floor", "training_seconds", "parameters")
"""Figures of which neither more nor less is better."""


@dataclass(frozen=True)
class Comparison:
    """What was compared, and what came of it.

    Arguments:
        recipes: by name.
        results: of all jobs, as `_job.work` gives them.
        budget, clock: as the jobs had them.
        command: that asked for it, if one did.
    """

    data: Data
    folder: Path
    recipes: Mapping[str, Recipe]
    results: Sequence[Mapping[str, Any]]
    budget: Mapping[str, float]
    clock: str
    seeds: int
    command: str = ""

    def of(self, recipe: str) -> list[Mapping[str, Any]]:
        """The results of its jobs that came to their end."""
        return [result for result in self.results if result["recipe"] == recipe and "figures" in result]

    def run(self, recipe: str, seed: int) -> Path:
        """The folder of a training."""
        return self.folder / "runs" / f"{recipe}-{seed}"

    def failures(self) -> list[Mapping[str, Any]]:
        return [result for result in self.results if "error" in result]


def table_csv(found: Comparison) -> bytes:
    """A line a recipe: each figure of the test split, its deviation over seeds, and its kind."""
    told = figures(found.results, "test")
    rows = []
    for name, recipe in found.recipes.items():
        done = found.of(name)
        failed = [result["error"] for result in found.failures() if result["recipe"] == name]
        row = {"recipe": name, "family": family(recipe), "seeds": len(done), "failed": len(failed)}
        row["why"] = failed[0] if failed else ""
        for metric, of in told.items():
            figure = next((f for f in of if f.recipe == name), None)
            row[metric] = "" if figure is None else figure.mean
            row[f"{metric}_deviation"] = "" if figure is None or len(figure.values) < 2 else figure.deviation
            row[f"{metric}_kind"] = "" if figure is None else figure.kind
        row |= {f"can_{what}": how for what, how in (done[0]["can"] if done else {}).items()}
        rows.append(row)
    return _csv(rows)


def tidy_csv(found: Comparison) -> bytes:
    """A line for each figure of each training, on both splits, with its protocol."""
    return _csv(
        {
            "recipe": result["recipe"],
            "seed": result["seed"],
            "split": split,
            "figure": name,
            **{key: saved[key] for key in ("value", "standard_error", "unit", "kind")},
            "protocol": json.dumps(saved["protocol"]),
        }
        for result in found.results
        for split, of in result.get("figures", {}).items()
        for name, saved in of.items()
    )


def _csv(rows: Iterable[Mapping[str, Any]]) -> bytes:
    rows = list(rows)
    keys = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    writer = lines.DictWriter(text, keys, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def marked(of: Sequence[Figure], name: str) -> list[Figure]:
    """Figures that are best of those come by alike, or tie with it; none where all tie."""
    if name in UNRANKED:
        return []
    found: list[Figure] = []
    for group in groups(of):
        if len(group) > 1:
            first, ties = best(group, better(name))
            found += [first, *ties] if 1 + len(ties) < len(group) else []
    return found
