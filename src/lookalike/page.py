"""report.html: one page that says all of a run, and asks for nothing outside itself.

Pictures are in the page as PNG, curves as SVG, the style as a few lines of CSS; there is no script. It reads
in light and dark and prints. Everything that came from the user or the data is escaped.
"""

from __future__ import annotations

import base64
import html
import io
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from .disk import write_atomically
from .options import options_of
from .pictures import curves, in_plane
from .recipe import Training, recipes
from .report import Metric, Report, common_protocol, html_table
from .run import Run
from .training.health import judge, looks_at
from .training.progress import duration

PICTURES = "pictures"
"""Folder of a run with samples.png and reconstructions.png, as they are on the page."""

OVER_TIME = 8
"""Pictures of the training that are shown."""

SMALL = 640
"""Pixels of their width at most: charts are made smaller, grids of small images stay as they are."""

CSS = """
:root { color-scheme: light dark; --ink: #1f2328; --faint: #656d76; --line: #d0d7de; --back: #fff; --soft: #f6f8fa;
        --model: #0072b2; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --faint: #9198a1; --line: #3d444d; --back: #0d1117;
        --soft: #161b22; --model: #56b4e9; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2.5rem 1.5rem 4rem; max-width: 62rem; background: var(--back); color: var(--ink);
       font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .3rem; letter-spacing: -.01em; }
h2 { font-size: 1.2rem; margin: 2.6rem 0 .8rem; padding-bottom: .3rem; border-bottom: 1px solid var(--line); }
p { margin: .4rem 0; } .lead { color: var(--faint); }
dl.key { display: flex; flex-wrap: wrap; gap: .8rem 2.4rem; margin: 1.4rem 0; }
dl.key div { display: flex; flex-direction: column-reverse; }
dl.key dt { font-size: .8rem; color: var(--faint); } dl.key dd { margin: 0; font-size: 1.25rem; font-weight: 600; }
pre { background: var(--soft); border: 1px solid var(--line); border-radius: 6px; padding: .7rem .9rem; margin: .4rem 0;
      font: .85rem/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; white-space: pre-wrap;
      overflow-wrap: anywhere; }
figure { margin: 1.2rem 0 1.8rem; break-inside: avoid; }
figure > img, .strip img { display: block; max-width: 100%; height: auto; background: #fff; border-radius: 4px;
       padding: 4px; }
figure svg { display: block; width: 100%; height: auto; }
figure svg text { font-family: inherit !important; }
figcaption { margin-top: .6rem; font-size: .9rem; color: var(--faint); } figcaption b { color: var(--ink); }
.strip { display: grid; grid-template-columns: repeat(auto-fill, minmax(var(--least), 1fr)); gap: 1rem .9rem; }
.strip span { display: block; font-size: .8rem; color: var(--faint); margin-bottom: .2rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; font-variant-numeric: tabular-nums; }
th { text-align: left; font-weight: 600; }
th, td { padding: .35rem .9rem .35rem 0; border-bottom: 1px solid var(--line);
     vertical-align: top; } td:last-child { color: var(--faint); } td { overflow-wrap: anywhere; }
td:not(:last-child) { white-space: nowrap; }
footer { margin-top: 3rem; font-size: .85rem; color: var(--faint); }
@media print { :root { --ink: #000; --faint: #444; --line: #bbb; --back: #fff; --soft: #fff; --model: #0072b2; }
       body { padding: 0; max-width: none; font-size: 11pt; } h2 { break-after: avoid; } tr { break-inside: avoid; } }
"""


def write_page(
    run: Run,
    *,
    samples: Image.Image | None = None,
    reconstructions: Image.Image | None = None,
    report: Report | None = None,
) -> Path:
    """Write report.html of a run, whole or not at all, and say where.

    Arguments:
        samples: what the trained model makes; where not given, samples.png of the run, if there is one.
        reconstructions: data and what the model made of it; likewise reconstructions.png.
        report: of `evaluate`: its metrics, and what was skipped and why.
    """
    page = _Page(run)
    sections = [
        page.head(),
        page.commands(),
        page.made(samples or _picture_in(run, "samples.png")),
        page.compared(reconstructions or _picture_in(run, "reconstructions.png")),
        page.over_time(),
        page.numbers(report),
        page.health(),
        page.curves(),
        page.recipe(),
        page.environment(),
    ]
    path = run.path / "report.html"
    write_atomically(path, document(page.title, sections).encode())
    return path


def document(title: str, sections: Sequence[str], style: str = "") -> str:
    """A whole page of sections in HTML; `style` is added to that of all pages."""
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{html.escape(title)}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>{CSS}{style}</style>\n</head>\n<body>\n{''.join(filter(None, sections))}</body>\n</html>\n"
    )


class Numbered:
    """Figures and tables of a page, numbered as they come."""

    figures = 0
    tables = 0

    def figure(self, content: str, says: str) -> str:
        """A picture or drawing in HTML over its caption."""
        self.figures += 1
        caption = f"<b>Figure {self.figures}.</b> {html.escape(says)}"
        return f"<figure>{content}<figcaption>{caption}</figcaption></figure>\n"

    def table(self, rows: Sequence[Mapping[str, Any]], says: str) -> str:
        """Rows with the same keys, escaped, over their caption; nothing of none."""
        return self.tabular(html_table(rows), says) if rows else ""

    def tabular(self, content: str, says: str) -> str:
        """A table in HTML over its caption."""
        self.tables += 1
        caption = f"<b>Table {self.tables}.</b> {html.escape(says)}"
        return f'<figure><div class="wide">{content}</div><figcaption>{caption}</figcaption></figure>\n'


class _Page(Numbered):
    """The sections of the page of a run."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.records = run.records()
        self.data: Mapping[str, Any] = run.header.get("data", {})
        self.environ: Mapping[str, Any] = run.header.get("environment", {})
        self.title = f"{run.recipe.name} on {self.data.get('name', 'data')}"

    def head(self) -> str:
        recipe = self.run.recipe
        last = self.records[-1] if self.records else {}
        key = {
            "steps": f"{last['step']:,}" if last else "",
            "of training": duration(last["seconds"]) if last else "",
            "items a second": f"{_median([r.get('items_per_second') for r in self.records]):,.0f}" if last else "",
            **_last_valid(self.records),
        }
        tiles = "".join(f"<div><dt>{html.escape(k)}</dt><dd>{html.escape(v)}</dd></div>" for k, v in key.items() if v)
        notes = "".join(f"<p>{html.escape(sentence(note))}</p>" for note in self.data.get("notes", ()))
        return (
            f"<h1>{html.escape(self.title)}</h1>\n"
            f'<p class="lead">{html.escape(sentence(recipe.summary))} {html.escape(recipe.reference)}.</p>\n'
            f"<p>{html.escape(sentence('Data: ' + self.data.get('line', str(self.run.spec))))}</p>{notes}\n"
            f'<dl class="key">{tiles}</dl>\n'
        )

    def commands(self) -> str:
        made = self.run.header.get("command", "")
        again = reproduce(self.run)
        told = f"<p>Made by</p><pre>{html.escape(made)}</pre>" if made and made != again else ""
        return f"<h2>How it was made</h2>\n{told}<p>Made again by</p><pre>{html.escape(again)}</pre>\n"

    def made(self, picture: Image.Image | None) -> str:
        if picture is None:
            return ""
        spec = self.run.spec
        says = "New items drawn from the trained model; none of them is data."
        if in_plane(spec):
            says = "Points drawn from the trained model over data; where the model has a density, it is beside them."
        elif spec.kind != "images":
            says = "Each column as the trained model draws it (blue) and as it is in data (grey)."
        return f"<h2>What it makes</h2>\n{self.figure(image(picture, says), says)}"

    def compared(self, picture: Image.Image | None) -> str:
        if picture is None:
            return ""
        spec = self.run.spec
        says = "Held-out data and, below each item, what is left of it after the model's code and back."
        if in_plane(spec):
            says = "Held-out points, each with a line to where it is after the model's code and back."
        elif spec.kind == "images" and "corruption" in self.run.recipe.options:
            says = "Held-out items corrupted as in training, what the model made of them, the difference, the truth."
        elif spec.kind != "images":
            says = "Held-out rows against what is left of them after the model's code and back: of numbers each value, "
            says += "of categories the share that kept theirs."
        return f"<h2>What it keeps</h2>\n{self.figure(image(picture, says), says)}"

    def over_time(self) -> str:
        pictures = sorted((self.run.path / "samples").glob("[0-9]*.png"))
        if len(pictures) < 2:
            return ""
        # The first steps change most, so the pictures are chosen evenly but for the very first.
        chosen = sorted({round(i * (len(pictures) - 1) / (OVER_TIME - 1)) for i in range(OVER_TIME)})
        shown = []
        for path in (pictures[i] for i in chosen):
            with Image.open(path) as picture:
                small = picture.convert("RGB")
            small.thumbnail((SMALL, 4 * SMALL), Image.Resampling.LANCZOS)
            step = f"step {int(path.stem):,}"
            shown.append(f"<div><span>{step}</span>{image(small, step)}</div>")
        least = "12rem" if self.run.spec.kind == "images" else "17.5rem"
        strip = f'<div class="strip" style="--least: {least}">{"".join(shown)}</div>'
        says = "The same random numbers, or the same held-out items, as the model learnt; weights are averaged."
        return f"<h2>As it learnt</h2>\n{self.figure(strip, says)}"

    def numbers(self, report: Report | None) -> str:
        if report is None or not (report.metrics or report.skipped):
            ask = html.escape(shlex.join(["lookalike", "evaluate", str(self.run.path)]))
            return f"<h2>How good it is</h2>\n<p>Not measured yet.</p><pre>{ask}</pre>\n"
        parts = ["<h2>How good it is</h2>\n"]
        if report.metrics:
            common = common_protocol(list(report.metrics.values()))
            says = "± is one standard error. Values compare only where their protocols are alike; common to all: "
            says += f"{_words(common) or 'nothing'}."
            parts.append(self.table([_metric_row(name, m, common) for name, m in report.metrics.items()], says))
        if report.skipped:
            rows = [{"skipped": name, "why": why} for name, why in report.skipped.items()]
            parts.append(self.table(rows, "What was not measured, and why."))
        return "".join(parts)

    def health(self) -> str:
        found = judge(looks_at(self.records), over=True)
        if not found:
            return ""
        ill = [f for f in found if f.level != "ok"]
        well = ", ".join(f.signal for f in found if f.level == "ok")
        rows = [
            {
                "signal": f.signal,
                "level": f.level,
                "since step": f"{f.since_step:,}" if f.since_step is not None else "",
                "what was seen, and what to do": f"{f.sentence} {f.action}",
            }
            for f in ill
        ]
        says = "What the doctor saw in the log; `lookalike doctor` measures the model again."
        told = f"<p>Nothing wrong was seen in: {html.escape(well)}.</p>\n" if well else ""
        return f"<h2>How healthy it was</h2>\n{self.table(rows, says)}{told}"

    def curves(self) -> str:
        drawn = curves([record for record in self.records if record["split"] != "health"])
        if not drawn:
            return ""
        says = "The log by step, training in blue (with the range within a bin) and validation in vermilion; "
        says += "the last values stand at the top right."
        return f"<h2>Curves</h2>\n{self.figure(drawn, says)}"

    def recipe(self) -> str:
        recipe = self.run.recipe
        parts = [
            self.table(_option_rows(recipe.build, recipe.options), f"The model: options of {recipe.name}."),
            self.table(_option_rows(Training, recipe.training), "The training."),
        ]
        return "<h2>Recipe</h2>\n" + "".join(parts)

    def environment(self) -> str:
        rows = [{"what": key, "value": value} for key, value in self.environ.items()]
        rows.append({"what": "seed", "value": self.run.header.get("seed", 0)})
        if "fingerprint" in self.data:
            rows.append({"what": "data fingerprint", "value": self.data["fingerprint"]})
        version = html.escape(str(self.environ.get("lookalike", "")))
        foot = f"<footer>Written by Lookalike {version}. {html.escape(sentence(self.run.recipe.reference))}</footer>\n"
        return f"<h2>Environment</h2>\n{self.table(rows, 'Where it was trained, on what.')}{foot}"


def reproduce(run: Run) -> str:
    """The command that trains the same model again: what differs from the recipe, the data's options, the seed."""
    recipe, data = run.recipe, run.header.get("data", {})
    words = ["lookalike", "train", recipe.name, str(data.get("name", "DATA"))]
    usual = recipes().get(recipe.name)
    plain = usual.resolved(run.spec.kind) if usual else None
    own = {**recipe.options, **recipe.training}
    theirs = {**plain.options, **plain.training} if plain else {}
    changed = {name: value for name, value in own.items() if name not in theirs or theirs[name] != value}
    for name, value in {**data.get("options", {}), **changed, "seed": run.header.get("seed", 0)}.items():
        if value is not None:
            words += _flag(name, value)
    return shlex.join([*words, "-o", str(run.path)])


def _flag(name: str, value: Any) -> list[str]:
    flag = "--" + name.replace("_", "-")
    if isinstance(value, bool):
        return [flag if value else "--no-" + flag[2:]]
    if isinstance(value, Mapping):
        return [flag, ",".join(f"{player}={number}" for player, number in value.items())]
    return [flag, ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)]


def _option_rows(fn: Callable[..., Any], values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A row for each option: its name, its value and what it means."""
    known = options_of(fn)
    return [
        {
            "option": name,
            "value": "none" if value is None else value,
            "meaning": known[name].help if name in known else "",
        }
        for name, value in values.items()
    ]


def _metric_row(name: str, metric: Metric, common: Mapping[str, Any]) -> dict[str, str]:
    return {
        "metric": name.replace("_", " "),
        "value": metric.rounded,
        "unit": metric.unit,
        "kind": metric.kind,
        "protocol": _words({k: v for k, v in metric.protocol.items() if k not in common}),
    }


def _words(mapping: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in mapping.items())


def _last_valid(records: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The last figures on the validation split, at most three."""
    last: Mapping[str, Any] = next((r for r in reversed(records) if r["split"] == "valid"), {})
    figures = {k: v for k, v in last.items() if k not in ("step", "seconds", "split") and isinstance(v, int | float)}
    return {f"{name.replace('_', ' ')}, validation": f"{value:.4g}" for name, value in list(figures.items())[:3]}


def _picture_in(run: Run, name: str) -> Image.Image | None:
    path = run.path / PICTURES / name
    if not path.is_file():
        return None
    with Image.open(path) as picture:
        return picture.convert("RGB")


def image(picture: Image.Image, says: str) -> str:
    """A picture as an element that holds it; `says` is for those who cannot see it."""
    content = io.BytesIO()
    picture.save(content, "PNG", optimize=True)
    coded = base64.b64encode(content.getvalue()).decode()
    return f'<img src="data:image/png;base64,{coded}" width="{picture.width}" alt="{html.escape(says)}">'


def _median(values: Sequence[float | None]) -> float:
    there = sorted(value for value in values if value is not None)
    return there[len(there) // 2] if there else 0.0


def sentence(words: str) -> str:
    """With a capital and a full stop."""
    words = words.strip()
    return words[:1].upper() + words[1:] + ("" if words.endswith((".", "!", "?")) or not words else ".")
