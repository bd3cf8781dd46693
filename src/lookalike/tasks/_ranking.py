"""Figures over seeds, and which of them is better: only where they were come by alike, and beyond their spread.

    m_a - m_b    differs where    |m_a - m_b| > t sqrt(s_a^2 / n_a + s_b^2 / n_b)

m and s the mean and deviation over n seeds, t the 97.5 % point of Student's distribution with Welch's degrees of
freedom (Welch 1947, Biometrika 34, 28-35); what does not differ is a tie. All models are measured on the same items, so
which items these are moves all alike and is not counted. Of one seed each, s^2 / n is the squared standard error of
the measurement, and t is 2: how another training would come out is then not known.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..report import CHANCE, Metric

STUDENT = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23)
"""The 97.5 % points for 1, 2, ... degrees of freedom."""


@dataclass(frozen=True, eq=False)
class Figure:
    """A figure of a recipe over seeds.

    Arguments:
        values: by seed, finite or not.
        errors: standard errors of the measurements, 0 where they have none.
        kind, unit, protocol: of the first; all seeds are measured alike.
    """

    recipe: str
    values: tuple[float, ...]
    errors: tuple[float, ...]
    kind: str
    unit: str
    protocol: Mapping[str, Any] = field(default_factory=dict)

    @property
    def mean(self) -> float:
        return sum(self.values) / len(self.values)

    @property
    def deviation(self) -> float:
        """Over seeds; nan of one."""
        n = len(self.values)
        if n < 2 or not math.isfinite(self.mean):
            return math.nan
        return math.sqrt(sum((value - self.mean) ** 2 for value in self.values) / (n - 1))

    @property
    def variance(self) -> float:
        """Of the mean."""
        n = len(self.values)
        return self.errors[0] ** 2 if n < 2 else self.deviation**2 / n

    @property
    def doubt(self) -> float:
        """Of the mean against a fixed number, where which items were drawn counts too: the larger of the two errors."""
        return max(self.errors[0], math.sqrt(self.variance))

    @property
    def shown(self) -> Metric:
        """The mean, and as its spread the deviation over seeds, or of one seed the standard error."""
        spread = self.deviation if len(self.values) > 1 else self.errors[0]
        return Metric(self.mean, self.kind, self.unit, self.protocol, spread or None)  # type: ignore[arg-type]

    @property
    def alike(self) -> str:
        """What a figure must share with this one to be ranked with it, as one word."""
        told = {k: v for k, v in self.protocol.items() if k not in CHANCE}
        return json.dumps([self.unit, self.kind, told], sort_keys=True, default=str)


def figures(results: Iterable[Mapping[str, Any]], split: str) -> dict[str, list[Figure]]:
    """By metric, the figures of all recipes that have it, from the results of their jobs."""
    gathered: dict[str, dict[str, list[Metric]]] = {}
    for result in results:
        for name, saved in result.get("figures", {}).get(split, {}).items():
            metric = Metric(**{**saved, "value": float(saved["value"]), "standard_error": _number(saved)})
            gathered.setdefault(name, {}).setdefault(result["recipe"], []).append(metric)
    return {
        name: [
            Figure(
                recipe,
                tuple(m.value for m in metrics),
                tuple(m.standard_error or 0.0 for m in metrics),
                metrics[0].kind,
                metrics[0].unit,
                metrics[0].protocol,
            )
            for recipe, metrics in by_recipe.items()
        ]
        for name, by_recipe in gathered.items()
    }


def _number(saved: Mapping[str, Any]) -> float | None:
    return None if saved["standard_error"] is None else float(saved["standard_error"])


def tightest(told: Mapping[str, list[Figure]], name: str) -> list[Figure]:
    """Figures of log p(x) by that name, with the importance-weighted bound where a recipe has one."""
    weighted = {figure.recipe: figure for figure in told.get(f"{name}_iw", ())}
    return [weighted.get(figure.recipe, figure) for figure in told.get(name, ())]


def differ(a: Figure, b: Figure) -> bool:
    """Whether two figures are farther apart than their spread."""
    if not (math.isfinite(a.mean) and math.isfinite(b.mean)):
        return a.mean != b.mean and not (math.isnan(a.mean) and math.isnan(b.mean))
    total = a.variance + b.variance
    if total == 0:  # seeds that agree to the last digit, or a single one of which no spread is known
        return a.mean != b.mean and min(len(a.values), len(b.values)) > 1
    return abs(a.mean - b.mean) > _student(a, b, total) * math.sqrt(total)


def _student(a: Figure, b: Figure, total: float) -> float:
    if min(len(a.values), len(b.values)) < 2:
        return 2.0
    parts = sum(of.variance**2 / (len(of.values) - 1) for of in (a, b))
    freedom = int(total**2 / parts)
    return STUDENT[freedom - 1] if freedom <= len(STUDENT) else 2.0 + 2.3 / freedom


def groups(found: Sequence[Figure]) -> list[list[Figure]]:
    """Figures that may be ranked with each other, the largest group first."""
    by_protocol: dict[str, list[Figure]] = {}
    for figure in found:
        by_protocol.setdefault(figure.alike, []).append(figure)
    return sorted(by_protocol.values(), key=len, reverse=True)


def best(group: Sequence[Figure], better: str) -> tuple[Figure, list[Figure]]:
    """The best of figures that may be ranked, and those that tie with it, nearest first.

    Arguments:
        better: "lower" or "higher".
    """
    sign = 1 if better == "lower" else -1
    ranked = sorted(group, key=lambda figure: (math.isnan(figure.mean), sign * figure.mean))
    first, *others = ranked
    return first, [other for other in others if not differ(first, other)]
