"""The page of a comparison: one file with all in it, which asks for nothing outside itself."""

from __future__ import annotations

import html
import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..disk import write_atomically
from ..metrics.table import METRICS
from ..page import Numbered, document, image, sentence
from ..pictures import stack
from ..pictures.comparison import Dots, Panel, Race, race, side_by_side, spreads, spreads_picture
from ..report import common_protocol
from ..run import Run
from ..training.progress import duration
from ._advice import advice, better
from ._comparison import Comparison, marked
from ._job import MEASURED
from ._output import png
from ._ranking import Figure, figures, groups, tightest
from .catalog import family

CHARTED = (
    "bits_per_dim", "nats", "two_sample_accuracy", "odd_items", "frechet_distance", "coverage", "density", "copying",
    "psnr", "mse", "samples_per_second",
)  # fmt: skip
"""Figures that are drawn, where any recipe has them; of reconstructions the first."""
TWICE = {"mse": "psnr", "nats": "bits_per_dim", "nats_iw": "bits_per_dim_iw"}
"""Figures that say of images what another says."""
RIGHT = {"copying": 0.5, "two_sample_accuracy": 0.5, "density": 1.0}
"""What a figure is for the truth, where that is neither 0 nor as much as can be."""
SAYS = {
    "odd_items": "how well the best of a model's own scores tells held-out items from such of which half is another's",
    "samples_per_second": "items drawn in a second of the clock of the trainings",
    "training_seconds": "of training alone, of that clock",
    "parameters": "numbers that are learnt",
}
TITLES = {
    "odd_items": "odd items told, AUROC",
    "nats": "-log p(x), nats",
    "bits_per_dim": "-log p(x), bits/dim",
    "mse": "squared error of reconstructions",
}
STYLE = """
body { max-width: 76rem; } p.advice { margin: .7rem 0; } code { font: .9em ui-monospace, Menlo, Consolas, monospace; }
td, td:last-child { color: var(--ink); }
table.figures { font-size: .8rem; }
table.figures td, table.figures th { text-align: right; padding-right: .5rem; white-space: nowrap; }
table.figures th:first-child, table.figures td:first-child { text-align: left; }
table.figures td.best { color: var(--model); font-weight: 600; } table.figures sup { color: var(--faint); }
table.figures td.none { color: var(--faint); }
"""


def write_comparison(found: Comparison) -> Path:
    """Write comparison.html, and comparison.png of its figures and samples; says where the page is."""
    page = _Page(found)
    sections = [
        page.head(),
        page.advised(),
        page.charts(),
        page.all_figures(),
        page.items("What they make", "samples"),
        page.items("What they keep", "x_hat") if found.data.spec.kind == "images" else "",
        page.curves(),
        page.abilities(),
        page.failed(),
        page.made(),
    ]
    path = found.folder / "comparison.html"
    write_atomically(path, document(page.title, sections, STYLE).encode())
    drawn = [spreads_picture(list(found.recipes), page.panels())] if page.panels() else []
    samples, _ = page.side_by_side("samples")
    drawn += [samples] if samples else []
    if drawn:
        write_atomically(found.folder / "comparison.png", png(stack(drawn)))
    return path


class _Page(Numbered):
    """The sections of the page."""

    def __init__(self, found: Comparison) -> None:
        self.found = found
        self.told = figures(found.results, "test")
        self.title = f"{len(found.recipes)} models of {Path(found.data.name).name} compared"
        self.spread = "the deviation over seeds" if found.seeds > 1 else "one standard error"

    def head(self) -> str:
        found = self.found
        seconds = sum(f.mean * len(f.values) for f in self.told.get("training_seconds", ()))
        key = {
            "recipes": str(len(found.recipes)),
            "seeds each": str(found.seeds),
            "for each training": self._budget(),
            "of training in all": duration(seconds),
            "failed": str(len(found.failures()) or ""),
        }
        tiles = "".join(f"<div><dt>{html.escape(k)}</dt><dd>{html.escape(v)}</dd></div>" for k, v in key.items() if v)
        data = html.escape(sentence(f"Data: {found.data}"))
        notes = "".join(f"<p>{html.escape(sentence(note))}</p>" for note in found.data.notes)
        return f'<h1>{html.escape(self.title)}</h1>\n<p class="lead">{data}</p>{notes}\n<dl class="key">{tiles}</dl>\n'

    def _budget(self) -> str:
        budget = self.found.budget
        if "minutes" in budget:
            return f"{duration(60 * budget['minutes'])} of {'one core' if self.found.clock == 'processor' else 'time'}"
        return f"{budget['steps']:,.0f} steps"

    def advised(self) -> str:
        said = "".join(
            f'<p class="advice"><b>{html.escape(one.want)}:</b> {_with_code(one.says)}</p>\n'
            for one in advice(self.found.results, self.found.data.spec.kind)
        )
        how = "What is best is seen on the validation split; the values are of the test split, "
        test = "Welch's test at 5 %" if self.found.seeds > 1 else "two standard errors"
        how += f"± {self.spread}. Recipes tie where they differ by no more than their spread ({test})."
        return f'<h2>Which to take</h2>\n{said}<p class="lead">{html.escape(how)}</p>\n' if said else ""

    def charts(self) -> str:
        panels = self.panels()
        if not panels:
            return ""
        says = f"A small dot is one training, a large one the mean, a bar {self.spread}. Blue: the best of those "
        says += "measured alike, or a tie with it. A triangle is a bound: the true value lies to its left. "
        says += "The dotted line is what the truth would have; in the Fréchet distance, what training items have."
        return f"<h2>The figures</h2>\n{self.figure(spreads(list(self.found.recipes), panels), says)}"

    def panels(self) -> list[Panel]:
        """What is drawn of the figures."""
        names = [name for name in CHARTED if self.told.get(name)]
        names = [name for name in names if TWICE.get(name) not in names]
        return [panel for panel in map(self._panel, names) if panel.dots]

    def _panel(self, name: str) -> Panel:
        of = tightest(self.told, name) if name in ("nats", "bits_per_dim") else self.told[name]
        among_best = marked(of, name)
        dots = {}
        for figure in of:
            values = tuple(value for value in figure.values if math.isfinite(value))
            spread = figure.shown.standard_error or 0.0
            if values:
                spread = spread if math.isfinite(spread) else 0.0
                dots[figure.recipe] = Dots(values, spread, figure.kind == "lower bound", figure in among_best)
        line = RIGHT.get(name)
        if name == "frechet_distance" and self.told.get("frechet_floor"):
            line = self.told["frechet_floor"][0].mean
        right = f"{RIGHT[name]:g} for the truth" if name in RIGHT else f"{better(name)} is better"
        return Panel(TITLES.get(name, name.replace("_", " ")), right, dots, line, name not in RIGHT)

    def all_figures(self) -> str:
        letters: dict[str, str] = {}
        names = sorted(self.told, key=[*MEASURED, *SAYS].index)
        names = [name for name in names if TWICE.get(name) not in names]
        body = [self._row(name, self.told[name], letters) for name in names]
        if not body:
            return ""
        top = "".join(f"<th>{html.escape(name)}</th>" for name in self.found.recipes)
        table = f'<table class="figures"><thead><tr><th></th>{top}</tr></thead><tbody>{"".join(body)}</tbody></table>'
        says = (
            f"Test split; ± is {self.spread}; ≤ marks a bound on log p(x). Blue: the best of figures that were come by "
        )
        says += "alike, or a tie with it. Letters tell figures apart that were not: between letters nothing is ranked."
        return self.tabular(table, says) + self._protocols(letters)

    def _row(self, name: str, of: Sequence[Figure], letters: dict[str, str]) -> str:
        among_best, several = marked(of, name), len(groups(of)) > 1
        by_recipe = {figure.recipe: figure for figure in of}
        cells = []
        for recipe in self.found.recipes:
            figure = by_recipe.get(recipe)
            if figure is None:
                cells.append('<td class="none">-</td>')
                continue
            mark = f"<sup>{letters.setdefault(figure.alike, _letter(len(letters)))}</sup>" if several else ""
            bound = "≤ " if figure.kind == "lower bound" else ""
            kind = ' class="best"' if figure in among_best else ""
            cells.append(f"<td{kind}>{bound}{html.escape(_words(figure))}{mark}</td>")
        unit = next((f", {figure.unit}" for figure in of if figure.unit not in ("", name)), "")
        says = METRICS[name].summary if name in METRICS else SAYS[name]
        head = html.escape(name.replace("_", " ") + unit)
        return f'<tr><td title="{html.escape(says)}">{head}</td>{"".join(cells)}</tr>'

    def _protocols(self, letters: Mapping[str, str]) -> str:
        if not letters:
            return ""
        common = common_protocol([f.shown for of in self.told.values() for f in of if f.alike in letters])
        rows = []
        for alike, letter in letters.items():
            unit, kind, protocol = json.loads(alike)
            own = ", ".join(f"{key} {value}" for key, value in protocol.items() if key not in common)
            rows.append({"": letter, "kind": kind, "unit": unit, "how": own})
        return self.table(rows, "How figures with a letter were come by.")

    def items(self, title: str, what: str) -> str:
        """Samples of one training of each recipe, or held-out items as it reconstructs them."""
        picture, says = self.side_by_side(what)
        return f"<h2>{title}</h2>\n{self.figure(image(picture, says), says)}" if picture else ""

    def side_by_side(self, what: str) -> tuple[Image.Image | None, str]:
        """The picture and what it shows, if any recipe made such."""
        made: dict[str, Tensor] = {}
        real: Tensor | None = None
        for name in self.found.recipes:
            kept = next((_kept(self.found, name, result["seed"]) for result in self.found.of(name)), {})
            if what in kept:
                made[name], real = kept[what], kept["x"]
        if real is None:
            return None, ""
        samples = what == "samples"
        says = "Held-out items in the first row, and below what is left of each after a model's code and back."
        if samples:
            says = "Samples of one training of each; none of them is data."
            says += " The first row is held-out data." if self.found.data.spec.kind == "images" else ""
        return side_by_side(self.found.data.spec, real, made, of="samples" if samples else "reconstructions"), says

    def curves(self) -> str:
        panels = _races(self.found)
        if not panels:
            return ""
        over = "seconds of the processor" if self.found.clock == "processor" else "seconds"
        says = "On the validation split by time of training, a line for each seed; dashed where it is a bound on "
        says += "log p(x). Of models without such a figure the losses they play for, which need not fall."
        return f"<h2>As they learnt</h2>\n{self.figure(race(panels, over), says)}"

    def abilities(self) -> str:
        rows = []
        for name, recipe in self.found.recipes.items():
            for first in self.found.of(name)[:1]:
                told = {what: how or "-" for what, how in first["can"].items()}
                code = f"{first['latent']:,}" if first["latent"] else "-"
                rows.append({"recipe": name, "family": family(recipe), **told, "code": code})
        about = [{"recipe": n, "is": sentence(r.summary), "paper": r.reference} for n, r in self.found.recipes.items()]
        can = self.table(rows, "What their theory allows; a code is of that many numbers.")
        return f"<h2>What they can do</h2>\n{can}{self.table(about, 'What they are.')}"

    def failed(self) -> str:
        rows = [{"training": f"{r['recipe']}, seed {r['seed']}", "why": r["error"]} for r in self.found.failures()]
        says = "Trainings that did not come to their end; the same command with --resume tries them again."
        return f"<h2>What failed</h2>\n{self.table(rows, says)}" if rows else ""

    def made(self) -> str:
        found = self.found
        rows = []
        for name in found.recipes:
            done = found.of(name)
            steps = ", ".join(f"{result['steps']:,}" for result in done)
            runs = ", ".join(str(found.run(name, result["seed"])) for result in done)
            rows += [{"recipe": name, "steps": steps, "runs": runs}] if done else []
        command = f"<pre>{html.escape(found.command)}</pre>\n" if found.command else ""
        told = self.table(rows, "The trained models, by seed; each run has a page of its own, report.html.")
        return f"<h2>How it was made</h2>\n{command}{told}"


def _words(figure: Figure) -> str:
    """A figure with its spread; a count without."""
    if figure.kind == "exact" and all(value.is_integer() for value in figure.values):
        return f"{figure.mean:,.0f}"
    return figure.shown.rounded


def _letter(i: int) -> str:
    return chr(ord("a") + i % 26) * (1 + i // 26)


def _kept(found: Comparison, name: str, seed: int) -> dict[str, Tensor]:
    """What a job kept for pictures; nothing where it cannot be read."""
    file = found.folder / "results" / f"{name}-{seed}.npz"
    if not file.is_file():
        return {}
    with np.load(file, allow_pickle=False) as arrays:
        return {key: torch.from_numpy(arrays[key]) for key in arrays}


def _races(found: Comparison) -> list[Race]:
    """The validation figures of all trainings, and of models that have none their losses."""
    runs = {name: [found.run(name, result["seed"]) for result in found.of(name)] for name in found.recipes}
    kept = {name: [run for run in of if (run / "run.json").is_file()] for name, of in runs.items()}
    logs = {name: [Run.open(run).records() for run in of] for name, of in kept.items()}
    bounds = frozenset(r["recipe"] for r in found.results if r.get("can", {}).get("likelihood") == "bound")
    panels, shown = [], set()
    for figure in ("bits_per_dim", "mse"):
        curves = {name: _points(of, "valid", figure) for name, of in logs.items()}
        curves = {name: seeds for name, seeds in curves.items() if any(len(points) > 1 for points in seeds)}
        shown |= set(curves)
        title = "-log p(x), bits/dim" if figure == "bits_per_dim" else TITLES[figure]
        panels += [Race(title, curves, bounds)] if curves else []
    for name, of in logs.items():
        first = next((r for r in of[0] if r["split"] == "train"), {}) if of and name not in shown else {}
        losses = [key for key in first if key.startswith("loss") and len(_points(of, "train", key)[0]) > 1]
        if losses:
            said = {key: f"{name}, {key.removeprefix('loss').strip('_') or 'loss'}" for key in losses}
            panels.append(Race(f"losses of {name}", {said[key]: _points(of, "train", key) for key in losses}))
    return panels


def _points(logs: Sequence[Sequence[Mapping[str, Any]]], split: str, name: str) -> list[list[tuple[float, float]]]:
    """(seconds, value) of a figure in each log."""
    return [[(r["seconds"], r[name]) for r in log if r["split"] == split and name in r] for log in logs]


def _with_code(words: str) -> str:
    """Escaped, with what stands in backticks as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(words))
