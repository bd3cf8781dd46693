"""What `make docs` runs: the demo, the pictures of these pages, and results.md from runs; `make proof` its figures.

    make docs                                 trains what is not yet trained; hours on two cores
    python docs/make.py r3 realnvp            of the tables, these recipes only; the others stay as they were measured
    python docs/make.py --figures glow        likelihoods beside published ones, those of these recipes
    python docs/make.py --quick               a few steps each, to see that it works, into runs/docs-quick

Runs are kept in runs/docs and taken up where they were stopped. What was measured is kept in results.json, beside
the training it is of, and results.md is written from that; the figures come from `evaluate` and from nowhere else.
"""

from __future__ import annotations

import json
import runpy
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cases import FIGURES, SECTIONS, Case, Section
from PIL import Image
from repairs import draw as draw_repairs
from uses import draw

import lookalike
from lookalike.disk import write_atomically
from lookalike.page import reproduce
from lookalike.run import Run
from lookalike.training.progress import duration

DOCS = Path(__file__).parent
LARGEST = 100_000  # bytes of a picture in the repository

HEAD = """# Results

Written by `make docs` and `make proof`. Every figure is of the test split, by `lookalike evaluate`, with one standard
error; `<=` marks that of a bound on log p(x): the true one is at most this. Figures compare within a data set of a
table. What each is, and where samples are compared: [metrics.md](metrics.md).
"""

PICTURES = {
    "overview": "demo/overview.png",
    "autoencoder": "demo/deep-ae/pictures/reconstructions.png",
    "vae": "demo/mlp-vae/pictures/samples.png",
    "autoregressive": "demo/pixelcnn/pictures/samples.png",
    "flow": "demo/realnvp/pictures/samples.png",
    "gan": "demo/r3/pictures/samples.png",
    "linear": "docs/ppca-moons/pictures/samples.png",
    "spline": "docs/spline-checkerboard/pictures/samples.png",
    "ladder": "docs/ladder-vae/pictures/samples.png",
    "verify": "docs/pixelcnn-digits/pictures/causality.png",
    "compare": "docs/compare-digits/comparison.png",
    "clusters": "docs/clusters.png",
    "map": "docs/map.png",
    "direction": "docs/direction.png",
    "separate": "docs/separate.png",
    "bottleneck": "docs/sizes/error.png",
    "denoise": "docs/denoise.png",
    "inpaint": "docs/inpaint.png",
}
"""Of the pages, by where they are in runs/; what is not there is left as it was."""

Row = dict[str, Any]


def main(names: list[str], *, quick: bool, figures: bool) -> None:
    """Train or find, measure, draw, write."""
    runs = Path("runs/docs-quick" if quick else "runs/docs")
    home = runs if quick else DOCS
    rows: dict[str, Row] = read(home / "results.json")
    for title, section, case in _cases(names, figures):
        path = runs / case.folder
        options = {**case.options, **({"minutes": None, "steps": 5} if quick else {})}
        options = {name: value for name, value in options.items() if value is not None}
        lookalike.train(case.recipe, case.data, out=path, resume=True, **options)
        run = Run.open(path)
        last = run.records()[-1]
        trained = {"steps": last["step"], "seconds": last["seconds"]}
        if not trained.items() <= rows.get(key(title, case), {}).items():
            how = {**case.evaluate, **({"limit": 20, "importance_samples": 2, "samples": 20} if quick else {})}
            rows[key(title, case)] = {**trained, **measured(run, section, how)}
            write_atomically(home / "results.json", (json.dumps(rows, indent=1, sort_keys=True) + "\n").encode())
            write_atomically(home / "results.md", results(rows).encode())
            print(f"measured {case.folder}")
    if not quick and not figures:
        sys.argv[1:] = []
        runpy.run_path(str(DOCS.parent / "examples" / "demo.py"), run_name="__main__")
        lookalike.verify("runs/docs/pixelcnn-digits")
        lookalike.compare("digits", minutes=0.1, seeds=2, samples=300, out=runs / "compare-digits", resume=True)
        draw()
        draw_repairs()
    if not quick:
        for page, source in PICTURES.items():
            if (Path("runs") / source).exists():
                shrink(Path("runs") / source, DOCS / "pictures" / f"{page}.png")


def _cases(names: list[str], figures: bool) -> Iterator[tuple[str, Section, Case]]:
    for title, section in SECTIONS.items():
        if (title == FIGURES) == figures:
            for case in section.cases:
                if not names or case.recipe in names:
                    yield title, section, case


def key(title: str, case: Case) -> str:
    """A case's name in results.json."""
    return f"{title} / {case.folder}"


def read(path: Path) -> dict[str, Row]:
    """What was measured before."""
    found: dict[str, Row] = json.loads(path.read_text()) if path.exists() else {}
    return found


def measured(run: Run, section: Section, how: dict[str, Any]) -> Row:
    """A run's figures on the test split, and how they were come by."""
    metrics = lookalike.evaluate(run.path, metrics=section.metrics, **how).metrics
    environment = run.header["environment"]
    return {
        "metrics": {name: metric.json() for name, metric in metrics.items()},
        "cells": {name: cell(metric) for name, metric in metrics.items()},
        "command": reproduce(run),
        "evaluate": " ".join(
            [f"lookalike evaluate {run.path}", *(f"--{name.replace('_', '-')} {value}" for name, value in how.items())]
        ),
        "machine": ", ".join(f"{what} {environment[what]}" for what in ("torch", "device", "threads")),
        "date": time.strftime("%Y-%m-%d"),
    }


def results(rows: dict[str, Row]) -> str:
    """The page: for each section a table of what was measured, and the commands that make it again."""
    parts, machines = [HEAD], set()
    for title, section in SECTIONS.items():
        found = [(case, rows[key(title, case)]) for case in section.cases if key(title, case) in rows]
        if not found:
            continue
        asked = ["asked", "reported elsewhere"] if title == FIGURES else []
        head = ["recipe", "data", *asked, *(m.replace("_", " ") for m in section.metrics), "steps", "training"]
        lines = [
            [
                f"`{case.recipe}`",
                case.data,
                *([case.asked, case.stands] if asked else []),
                *(row["cells"].get(m, "") for m in section.metrics),
                f"{row['steps']:,}",
                duration(row["seconds"]),
            ]
            for case, row in found
        ]
        commands = "\n".join(f"$ {row['command']}\n$ {row['evaluate']}" for _, row in found)
        words = [section.words] if section.words else []
        parts.append("\n\n".join([f"## {title}", *words, table(head, lines), f"```console\n{commands}\n```"]) + "\n")
        machines |= {row["machine"] for _, row in found}
    if machines:
        parts.append(f"Measured with {'; '.join(sorted(machines))}.\n")
    return "\n".join(parts)


def cell(metric: lookalike.Metric) -> str:
    """A figure with its spread; a bound is marked."""
    return f"{'<= ' if metric.kind == 'lower bound' else ''}{metric.rounded}"


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown, without the columns that no row fills."""
    filled = [i for i in range(len(head)) if any(line[i] for line in rows)]
    lines = [[line[i] for i in filled] for line in (head, ["---"] * len(head), *rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def shrink(source: Path, target: Path) -> None:
    """A picture small enough for the repository, with as many colours as that leaves."""
    picture = Image.open(source).convert("RGB")
    picture.thumbnail((760, 1400), Image.Resampling.LANCZOS)
    target.parent.mkdir(exist_ok=True)
    # With fewer colours the median cut loses the hues of small dots, which an octree keeps.
    ways = [(128, Image.Quantize.MEDIANCUT), *((colours, Image.Quantize.FASTOCTREE) for colours in (128, 64, 32, 16))]
    for colours, method in ways:
        picture.quantize(colours, method, dither=Image.Dither.NONE).save(target, optimize=True)
        if target.stat().st_size <= LARGEST:
            break
    print(f"wrote {target}")


if __name__ == "__main__":
    given = sys.argv[1:]
    flags = {word for word in given if word.startswith("--")}
    try:
        main([w for w in given if w not in flags], quick="--quick" in flags, figures="--figures" in flags)
    except lookalike.UserError as mistake:
        sys.exit(f"error: {mistake}")
