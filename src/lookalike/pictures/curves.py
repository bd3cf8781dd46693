"""The curves of a training, as one drawing that takes the colours of the page it stands in."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .chart import DATA, MODEL, OTHER, PAGE_INK, Numbers, figure_of, svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LAST = ("lr", "items_per_second")
"""Figures about the training rather than the model; norms of gradients, too, are drawn after the rest."""

MOST_PANELS = 12

POINTS = 150
"""Points of a curve that are drawn; longer ones are averaged in bins, over the range they span."""

Record = Mapping[str, Any]


def curves(records: Sequence[Record]) -> str:
    """A panel for each figure in a log, training and validation, as an SVG element; empty where there is none.

    Arguments:
        records: lines of a log: "step", "seconds", "split" ("train" or "valid") and figures by name.
    """
    names = _names(records)
    if not names:
        return ""
    across = min(3, len(names))
    figure, axes = figure_of(math.ceil(len(names) / across), across, 3.6, 2.3, count=len(names), ink=PAGE_INK)
    for ax, name in zip(axes, names, strict=True):
        _panel(ax, name, records)
    lines = {line.get_label(): line for ax in axes for line in ax.lines}
    where: Any = "outside upper left"
    figure.legend(handles=list(lines.values()), loc=where, ncols=2, frameon=False, fontsize=9, labelcolor=PAGE_INK)
    return svg(figure)


def _names(records: Sequence[Record]) -> list[str]:
    """Figures worth a panel: those of the validation first, then as in the log; no constants and no twins."""
    found: dict[str, list[tuple[str, float]]] = {}
    for record in sorted(records, key=lambda record: record["split"] != "valid"):
        for name, value in record.items():
            if name not in ("step", "seconds", "split") and isinstance(value, int | float):
                found.setdefault(name, []).append((record["split"], value))
    kept: dict[tuple[tuple[str, float], ...], str] = {}
    for name, values in found.items():
        trained = tuple(value for value in values if value[0] == "train") or tuple(values)
        if len(set(values)) > 1:
            kept.setdefault(trained, name)
    late = [name for name in kept.values() if name in LAST or name.startswith(("gradient_norm", "update_ratio"))]
    return [*(name for name in kept.values() if name not in late), *late][:MOST_PANELS]


def _panel(ax: Axes, name: str, records: Sequence[Record]) -> None:
    drawn: list[Numbers] = []
    lasts: list[str] = []
    for split, colour in (("train", MODEL), ("valid", OTHER)):
        at = [(r["step"], r[name]) for r in records if r["split"] == split and name in r]
        step, value = (np.array(part, dtype=float) for part in zip(*at, strict=True)) if at else (np.empty(0),) * 2
        step, value = step[np.isfinite(value)], value[np.isfinite(value)]
        if not len(step):
            continue
        drawn.append(value)
        lasts.append(f"{value[-1]:.4g}")
        _curve(ax, step, value, colour, split)
    values = np.concatenate(drawn) if drawn else np.empty(0)
    if name not in LAST and len(values):
        _fit(ax, values)
    ax.set_title(name.replace("_", " "), fontsize=10, color=PAGE_INK, loc="left")
    ax.set_title("  /  ".join(lasts), fontsize=8, color=PAGE_INK, loc="right")
    ax.set_xlabel("step")
    ax.grid(axis="y", color=DATA, alpha=0.25, linewidth=0.6)


def _curve(ax: Axes, step: Numbers, value: Numbers, colour: str, split: str) -> None:
    if len(step) > POINTS:
        size = math.ceil(len(step) / POINTS)
        bins = [slice(start, start + size) for start in range(0, len(step), size)]
        low, high = (np.array([extreme(value[b]) for b in bins]) for extreme in (np.min, np.max))
        step, value = (np.array([of[b].mean() for b in bins]) for of in (step, value))
        ax.fill_between(step, low, high, color=colour, alpha=0.18, linewidth=0)
    marker = "o" if split == "valid" and len(step) <= 40 else None
    order = 3 if split == "valid" else 2
    ax.plot(step, value, color=colour, linewidth=1.4, marker=marker, markersize=3, zorder=order, label=split)


def _fit(ax: Axes, values: Numbers) -> None:
    """A logarithmic axis for what falls or rises by powers of ten, else one that the first loss does not stretch."""
    low, high = float(values.min()), float(np.quantile(values, 0.98))
    if low > 0 and high > 50 * float(np.quantile(values, 0.02)):
        ax.set_yscale("log")
    elif float(values.max()) - low > 3 * (high - low) > 0:
        ax.set_ylim(low - 0.06 * (high - low), high + 0.12 * (high - low))
