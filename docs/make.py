"""What `make docs` runs: the demo, the pictures of these pages, and results.md from runs.

    make docs                                 trains what is not yet trained; hours on two cores
    python docs/make.py gan realnvp           of the table, these recipes only; the others as they were found
    python docs/make.py --quick               a few steps each, to see that it works, into runs/docs-quick

Runs are kept in runs/docs and taken up where they were stopped. The figures of results.md come from `evaluate`
and from nowhere else; a run that is not there has no line.
"""

from __future__ import annotations

import runpy
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

import lookalike
from lookalike.page import reproduce
from lookalike.run import Run
from lookalike.training.progress import duration

DOCS = Path(__file__).parent
LARGEST = 100_000  # bytes of a picture in the repository


class Case(NamedTuple):
    """A recipe on data, with the options it has there."""

    recipe: str
    data: str
    options: dict[str, Any] = {}


BINARY = {"binarize": "dynamic"}
SECTIONS: dict[str, tuple[list[Case], tuple[str, ...]]] = {
    "Images: mnist-5k, 28x28, 256 levels": (
        [
            Case(r, "mnist-5k")
            for r in ("linear-ae", "deep-ae", "conv-ae", "vae", "beta-vae", "realnvp", "gan", "dcgan")
        ],
        ("bits_per_dim", "bits_per_dim_iw", "psnr", "ssim", "frechet_distance", "frechet_floor", "coverage"),
    ),
    "Binary images: mnist-5k, drawn anew each time": (
        [Case("mlp-vae", "mnist-5k", BINARY), Case("made", "mnist-5k", BINARY), Case("pixelcnn", "mnist-5k", BINARY)],
        ("nats", "nats_iw", "frechet_distance", "frechet_floor", "coverage"),
    ),
    "Small images: digits, 8x8, 17 levels": (
        [Case(r, "digits") for r in ("vae", "pixelcnn", "realnvp", "gan")],
        ("bits_per_dim", "bits_per_dim_iw", "frechet_distance", "frechet_floor", "coverage"),
    ),
    "Points in the plane": (
        [
            Case(r, d)
            for d in ("moons", "checkerboard", "ring8", "grid25")
            for r in ("vae", "made", "realnvp", "gan", "wgan-gp")
        ],
        ("nats", "kl_to_truth", "modes_found", "high_quality", "frechet_distance", "frechet_floor"),
    ),
    "Tables": (
        [Case(r, d) for d in ("breast-cancer", "diabetes") for r in ("linear-ae", "vae", "made", "realnvp", "gan")],
        ("nats", "mse", "frechet_distance", "frechet_floor", "coverage"),
    ),
}

HEAD = """# Results

Written by `make docs`. Every figure is of the test split, by `lookalike evaluate`, with one standard error; `<=` marks
that of a bound on log p(x): the true one is at most this. Figures compare within a data set of a table. What each
is, and where samples are compared: [metrics.md](metrics.md).
"""

PICTURES = {
    "autoencoder": "deep-ae/pictures/reconstructions.png",
    "vae": "mlp-vae/pictures/samples.png",
    "autoregressive": "pixelcnn/pictures/samples.png",
    "flow": "realnvp/pictures/samples.png",
    "gan": "gan/pictures/samples.png",
    "overview": "overview.png",
}


def main(names: list[str], quick: bool) -> None:
    """Train or find, draw, write."""
    runs = Path("runs/docs-quick" if quick else "runs/docs")
    for case in (case for cases, _ in SECTIONS.values() for case in cases):
        if not names or case.recipe in names:
            options = {**case.options, **({"steps": 5} if quick else {})}
            lookalike.train(case.recipe, case.data, out=folder(runs, case), resume=True, **options)
    page = runs / "results.md" if quick else DOCS / "results.md"
    page.write_text(results(runs))
    print(f"wrote {page}")
    if not quick:
        sys.argv[1:] = []
        runpy.run_path(str(DOCS.parent / "examples" / "demo.py"), run_name="__main__")
        for page_name, source in PICTURES.items():
            shrink(Path("runs/demo") / source, DOCS / "pictures" / f"{page_name}.png")


def folder(runs: Path, case: Case) -> Path:
    """Where a case's run is."""
    return runs / f"{case.recipe}-{case.data}"


def results(runs: Path) -> str:
    """The page: for each section a table of the runs that are there, and the commands that make them again."""
    parts = [HEAD]
    for title, (cases, metrics) in SECTIONS.items():
        found = [
            (case, Run.open(folder(runs, case))) for case in cases if (folder(runs, case) / "report.html").exists()
        ]
        if found:
            rows = [row(case, run, metrics) for case, run in found]
            head = ["recipe", "data", *(m.replace("_", " ") for m in metrics), "steps", "training"]
            commands = "\n".join("$ " + reproduce(run) for _, run in found)
            parts.append(f"## {title}\n\n{table(head, rows)}\n\n```console\n{commands}\n```\n")
            machine = found[0][1].header["environment"]
    if len(parts) > 1:
        said = ", ".join(f"{what} {machine[what]}" for what in ("torch", "device", "threads"))
        parts.append(f"Measured with {said}.\n")
    return "\n".join(parts)


def row(case: Case, run: Run, metrics: Iterable[str]) -> list[str]:
    """One line of a table."""
    found = lookalike.evaluate(run.path, metrics=tuple(metrics)).metrics
    last = run.records()[-1]
    return [
        case.recipe,
        case.data,
        *(cell(found.get(m)) for m in metrics),
        f"{last['step']:,}",
        duration(last["seconds"]),
    ]


def cell(metric: lookalike.Metric | None) -> str:
    """A figure with its spread; a bound is marked."""
    if metric is None:
        return ""
    spread = "" if metric.standard_error is None else f" ± {metric.standard_error:.2g}"
    return f"{'<= ' if metric.kind == 'lower bound' else ''}{metric.value:.4g}{spread}"


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
    for colours in (128, 64, 32, 16):
        picture.quantize(colours, dither=Image.Dither.NONE).save(target, optimize=True)
        if target.stat().st_size <= LARGEST:
            break
    print(f"wrote {target}")


if __name__ == "__main__":
    given = sys.argv[1:]
    try:
        main([word for word in given if word != "--quick"], quick="--quick" in given)
    except lookalike.UserError as mistake:
        sys.exit(f"error: {mistake}")
