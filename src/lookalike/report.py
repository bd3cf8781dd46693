"""What a task answers: numbers that carry their kind, spread and protocol; files; words.

A number without its protocol cannot be compared, so a `Metric` cannot be made without one.
"""

from __future__ import annotations

import html
import itertools
import math
import shutil
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

MetricKind = Literal["exact", "lower bound", "estimate"]


@dataclass(frozen=True)
class Metric:
    """One number.

    Arguments:
        kind: "exact"; "lower bound" (of a likelihood: the true log p(x) is at least this good); or
            "estimate" (of something a larger sample would give more exactly).
        unit: "bits/dim", "nats", "dB", "" ...
        protocol: all that must be alike for two values to be comparable: data hash, split, binarisation,
            levels, estimator, feature space, samples.
        standard_error: of the value, over items or resamples; None where it has none.
    """

    value: float
    kind: MetricKind
    unit: str
    protocol: Mapping[str, Any]
    standard_error: float | None = None

    def __str__(self) -> str:
        said = {"exact": "", "lower bound": " (a bound on log p)", "estimate": " (estimate)"}
        kind = said[self.kind]
        return f"{self.rounded} {self.unit}".rstrip() + kind

    @property
    def rounded(self) -> str:
        """The value and its standard error, both to two digits of the latter: "0.02494 ± 0.00070"."""
        error = self.standard_error
        if error is None or not (math.isfinite(self.value) and math.isfinite(error) and error > 0):
            return _digits(self.value) + ("" if error is None else f" ± {_digits(error)}")
        decimals = 1 - int(f"{error:.1e}".partition("e")[2])
        if decimals > 8 or abs(self.value) >= 1e7:
            return f"{self.value:.3e} ± {error:.1e}"
        value, error = round(self.value, decimals) + 0.0, round(error, decimals)  # no -0
        return f"{value:.{max(0, decimals)}f} ± {error:.{max(0, decimals)}f}"

    def json(self) -> dict[str, Any]:
        return {
            "value": _finite(self.value),
            "standard_error": None if self.standard_error is None else _finite(self.standard_error),
            "kind": self.kind,
            "unit": self.unit,
            "protocol": dict(self.protocol),
        }


CHANCE = {"binarisation seed"}
"""Entries of a protocol that only chance comes of."""


def differences(a: Metric, b: Metric) -> dict[str, tuple[Any, Any]]:
    """In what two figures are unlike, by name: their unit, kind, and each entry of their protocols."""
    both = [{"unit": m.unit, "kind": m.kind, **m.protocol} for m in (a, b)]
    names = [name for name in {**both[0], **both[1]} if name not in CHANCE]
    pairs = {name: (both[0].get(name), both[1].get(name)) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def comparable(a: Metric, b: Metric) -> bool:
    """Whether two figures may be ranked: only if they were come by alike."""
    return not differences(a, b)


def common_protocol(metrics: Sequence[Metric]) -> dict[str, Any]:
    """What the protocols of all metrics say alike; of one metric nothing, since its own row says it."""
    first, *others = [dict(metric.protocol) for metric in metrics]
    return {k: v for k, v in first.items() if others and all(k in other and other[k] == v for other in others)}


@dataclass(frozen=True)
class Report:
    """The answer of a task: prints itself, shows itself in a notebook, and is JSON.

    Arguments:
        title: one line.
        facts: what it is about ("run", "data", "split", ...), in order; all of it is in the JSON.
        metrics: by name; None where the task measures nothing.
        skipped: metrics that could not be computed, and why.
        rows: a table, where the answer is one; each row has the same keys.
        files: what was written.
        notes: further sentences.
        ok: whether what was asked holds; where it does not, the command's exit code is 1.
    """

    title: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Metric] | None = None
    skipped: Mapping[str, str] = field(default_factory=dict)
    rows: Sequence[Mapping[str, Any]] = ()
    files: Sequence[str] = ()
    notes: Sequence[str] = ()
    ok: bool = True

    def json(self) -> dict[str, Any]:
        """As plain values: what `--json` prints."""
        answer: dict[str, Any] = dict(self.facts)
        if self.metrics is not None:
            answer["metrics"] = {name: metric.json() for name, metric in self.metrics.items()}
            answer["skipped"] = dict(self.skipped)
        if self.rows:
            answer["rows"] = [dict(row) for row in self.rows]
        if self.files:
            answer["files"] = list(self.files)
        if self.notes:
            answer["notes"] = list(self.notes)
        return answer

    def __str__(self) -> str:
        lines = [self.title] if self.title else []
        if self.metrics:
            common = common_protocol(list(self.metrics.values()))
            own = {name: {k: v for k, v in m.protocol.items() if k not in common} for name, m in self.metrics.items()}
            lines += _align([[name, str(metric), _words(own[name])] for name, metric in self.metrics.items()])
            lines += [f"  all: {_words(common)}"] if common else []
        lines += [f"  skipped {names}: {why}" for why, names in self._reasons().items()]
        if self.rows:
            cells = [[_cell(value) for value in row.values()] for row in self.rows]
            lines += _align([list(self.rows[0]), *cells])
        lines += list(self.notes)
        lines += [f"wrote {path}" for path in self.files]
        return "\n".join(lines)

    def _reasons(self) -> dict[str, str]:
        """What was skipped, by why."""
        reasons: dict[str, list[str]] = {}
        for name, why in self.skipped.items():
            reasons.setdefault(why, []).append(name)
        return {why: ", ".join(names) for why, names in reasons.items()}

    def _repr_html_(self) -> str:
        parts = [f"<h4>{html.escape(self.title)}</h4>"]
        if self.metrics:
            rows = [
                {"metric": name, "value": str(metric), "protocol": _words(metric.protocol)}
                for name, metric in self.metrics.items()
            ]
            parts.append(html_table(rows))
        if self.skipped:
            parts.append(html_table([{"skipped": names, "why": why} for why, names in self._reasons().items()]))
        if self.rows:
            parts.append(html_table(self.rows))
        parts += [f"<p>{html.escape(note)}</p>" for note in self.notes]
        parts += [f"<p>wrote <code>{html.escape(path)}</code></p>" for path in self.files]
        return "\n".join(parts)


def html_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows with the same keys as an HTML table, escaped."""
    head = "".join(f"<th>{html.escape(str(key))}</th>" for key in rows[0])
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(_cell(value))}</td>" for value in row.values()) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _align(rows: list[list[str]]) -> list[str]:
    """Rows of cells in columns; on a terminal the widest are wrapped between words to fit, in a pipe none is."""
    columns = list(zip(*rows, strict=True))
    widths = [max(map(len, cells)) for cells in columns]
    longest_word = [max((len(word) for cell in cells for word in cell.split()), default=0) for cells in columns]
    room = shutil.get_terminal_size((10**6, 0)).columns - 2 * len(widths)
    while sum(widths) > room and (wraps := [i for i, width in enumerate(widths) if width > longest_word[i]]):
        widths[max(wraps, key=widths.__getitem__)] -= 1
    lines = []
    for row in rows:
        wrapped = [
            textwrap.wrap(cell, max(1, width), break_on_hyphens=False) for cell, width in zip(row, widths, strict=True)
        ]
        for cells in itertools.zip_longest(*wrapped, fillvalue=""):
            line = "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
            lines.append(f"  {line}".rstrip())
    return lines


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return _digits(value)
    if isinstance(value, Mapping):
        return _words(value)
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _words(mapping: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in mapping.items())


def _digits(value: float) -> str:
    return f"{value:.4g}" if math.isfinite(value) and abs(value) < 1e5 else f"{value:.3e}"


def _finite(value: float) -> float | str:
    """JSON has no infinity: "inf", "-inf" and "nan" are said in words."""
    return value if math.isfinite(value) else str(value)
