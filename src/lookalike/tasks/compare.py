"""Compare recipes on one's own data: each is trained on the same budget, several times, and measured alike.

A budget of minutes is of processor time: each training is a process of one thread, and its minutes are those that the
processor worked for it (`train --clock processor`), so that what else the machine does, and how many trainings it
does at once, changes nothing of what a model was given. Opening the data, measuring and drawing are not counted.
What is chosen is chosen on the validation split; the test split is read once, for what is told of the chosen.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from filelock import FileLock, Timeout

from ..data import open_data
from ..errors import UserError
from ..metrics.features import build_space
from ..nn.doors import Door
from ..options import Range
from ..recipe import Clock
from ..report import Report
from ..run import LOCK
from ..training.device import find_device
from ..training.progress import Line, duration
from ._advice import advice
from ._common import say
from ._comparison import Comparison, marked, table_csv, tidy_csv
from ._comparison_page import write_comparison
from ._crew import Crew, clear, fitting
from ._job import Job
from ._lineup import lineup
from ._output import npz, write
from ._ranking import Figure, figures, tightest
from .train import command

TABLE = (
    "bits_per_dim", "nats", "two_sample_accuracy", "frechet_distance", "coverage", "odd_items", "samples_per_second",
)  # fmt: skip
"""Figures that are printed; all of them are in table.csv and on the page."""


def compare(
    data: str | Any,
    *,
    recipes: tuple[str, ...] | None = None,
    minutes: Annotated[float, Range(0, above=True)] = 2.0,
    steps: Annotated[int | None, Range(1)] = None,
    seeds: Annotated[int, Range(1)] = 3,
    jobs: Annotated[int | None, Range(1)] = None,
    samples: Annotated[int, Range(20)] = 1000,
    importance_samples: Annotated[int, Range(2)] = 64,
    limit: Annotated[int | None, Range(20)] = None,
    features: str = "auto",
    out: Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    device: str = "auto",
    **how: Any,
) -> Report:
    """Train a good recipe of every family on data, each on the same budget, and say which to take for what.

    The folder gets comparison.html, which is one page with all in it; table.csv, a line a recipe; figures.csv, a line a
    figure of each training, with its protocol; and every trained model, below runs/.

    Example:
        lookalike compare table.csv --minutes 5 -o compared/
        lookalike compare photos/ --size 32 --recipes vae,r3,pixelcnn --seeds 2

    Arguments:
        data: a name, a folder, an archive or a file.
        recipes: to compare; by default a good one of each family that can take the data.
        minutes: of processor time for each training, on one thread; rates run down to their end in that time.
        steps: of each training, in place of minutes.
        seeds: trainings of each recipe, to know how much is chance.
        jobs: trainings at a time; by default one a core, as far as memory allows.
        samples: drawn from each model to be compared with data.
        importance_samples: draws for each item in the importance-weighted bounds.
        limit: measure on so many items only, spread evenly over the split.
        features: where samples are compared: units, random-conv, efficientnet-lite0, or an ONNX file of your own.
        out: folder of the comparison; by default runs/compare-DATA.
        resume: go on with a comparison that was stopped; what is done stays, what failed is tried again.
        overwrite: replace a comparison that is there.
        device: auto, cpu, cuda or mps; but for cpu, minutes are of the clock on the wall, and one job runs at a time.

    Raises:
        UserError: the data cannot be learnt from, a recipe does not take it, or the folder exists.
    """
    if resume and overwrite:
        raise UserError("--resume goes on with a comparison and --overwrite starts it anew: choose one.")
    place = find_device(device)
    opened = open_data(data, **how)
    chosen = lineup(opened.spec.kind, recipes)
    build_space(features, opened.spec, Door(opened.spec).shape)  # what every job would refuse, it at its end
    folder = Path(out or f"runs/compare-{Path(opened.name).stem or 'data'}")
    budget: dict[str, Any] = {"minutes": minutes} if steps is None else {"steps": steps}
    measuring = {"samples": samples, "importance_samples": importance_samples, "limit": limit, "features": features}
    header = {
        "format": 1,
        "data": opened.fingerprint,
        "budget": budget,
        "measuring": measuring,
        "device": place.type,
        "options": json.loads(json.dumps(how)),
    }
    _check_folder(folder, header, resume, overwrite)
    with _held(folder):
        if overwrite:
            clear(folder)
        write(folder / "compare.json", json.dumps(header, indent=1).encode())
        where = _kept(folder, data)
        clock: Clock = "processor" if place.type == "cpu" else "wall"
        work = [
            Job(f"{name}-{seed}", str(folder), name, seed, where, how, budget, clock, str(place), measuring)
            for seed in range(seeds)
            for name in chosen
        ]
        at_once = jobs or (fitting(len(work)) if place.type == "cpu" else 1)
        for words in (str(opened), *opened.notes, _plan(work, at_once, folder)):
            say(words)
        try:
            results = Crew(work, at_once, Line("")).work()
        except KeyboardInterrupt:
            say(f"stopped and saved in {folder}. Go on with the same command and --resume.")
            raise
        found = Comparison(opened, folder, chosen, list(results.values()), budget, clock, seeds, command())
        write(folder / "table.csv", table_csv(found))
        write(folder / "figures.csv", tidy_csv(found))
        return _report(found, write_comparison(found))


def _plan(work: Sequence[Job], at_once: int, folder: Path) -> str:
    """What is going to be done."""
    names, seeds = list(dict.fromkeys(job.recipe for job in work)), len({job.seed for job in work})
    of = f"{len(work)} trainings ({', '.join(names)}; {seeds} seed{'s' * (seeds > 1)} each)"
    each, in_all = f"{work[0].budget.get('steps', 0):,} steps each", ""
    if "minutes" in work[0].budget:
        seconds = 60 * work[0].budget["minutes"]
        each = f"{duration(seconds)}{' of processor time' if work[0].clock == 'processor' else ''} each"
        in_all = f", at least {duration(seconds * len(work) / at_once)} in all"
    return f"{of}, {each}, {at_once} at a time{in_all}, into {folder}"


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Hold the folder; the hold goes with the process, however it ends.

    Raises:
        UserError: another process does, or the folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK, timeout=0)
        lock.acquire()
    except Timeout:
        raise UserError(f"another process compares into {folder}: wait for it, or choose another -o.") from None
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error.strerror or error}. Choose another -o.") from None
    try:
        yield
    finally:
        lock.release()


def _check_folder(folder: Path, header: Mapping[str, Any], resume: bool, overwrite: bool) -> None:
    """Nothing, if the folder may be used.

    Raises:
        UserError: it exists and may not be used, or holds a comparison of something else.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file, not a folder. Choose another -o.")
    if not folder.is_dir() or {path.name for path in folder.iterdir()} <= {LOCK}:
        return
    file = folder / "compare.json"
    if resume:
        _check_alike(file, header)
    elif not overwrite:
        raise UserError(f"{folder} exists. Choose another -o, --resume to go on, or --overwrite to start anew.")
    elif not file.is_file():
        raise UserError(f"{folder} is not the folder of a comparison, so it is not replaced. Choose another -o.")


def _check_alike(file: Path, header: Mapping[str, Any]) -> None:
    """Refuse to go on with what would not compare."""
    try:
        saved = json.loads(file.read_text())
    except (OSError, ValueError):
        raise UserError(
            f"{file.parent} holds no comparison to go on with (no compare.json). Choose another -o."
        ) from None
    for name, value in header.items():
        if saved.get(name) != value:
            raise UserError(
                f"{file.parent} cannot be resumed with other settings: {name} was {saved.get(name)} and is now "
                f"{value}. Use the first command, or another -o."
            )


def _kept(folder: Path, data: Any) -> str:
    """What every process opens: the name or path, or a file that an array or a frame was written to."""
    if isinstance(data, str | Path):
        return str(data)
    items, labels = data if isinstance(data, tuple) else (data, None)
    if hasattr(items, "to_csv"):
        path = folder / "data.csv"
        write(path, items.to_csv(index=False).encode())
        return str(path)
    arrays = {"x": items} if labels is None else {"x": items, "y": np.asarray(labels)}
    path = folder / "data.npz"
    write(path, npz(**arrays))
    return str(path)


def _report(found: Comparison, page: Path) -> Report:
    told = figures(found.results, "test")
    of_metric = {name: tightest(told, name) if f"{name}_iw" in told else told[name] for name in TABLE if name in told}
    if "bits_per_dim" in of_metric:
        del of_metric["nats"]
    rows = []
    for recipe in found.recipes:
        row: dict[str, Any] = {"recipe": recipe}
        for name, of in of_metric.items():
            row[name.replace("_", " ")] = next((_cell(f, marked(of, name)) for f in of if f.recipe == recipe), "-")
        failed = [result for result in found.failures() if result["recipe"] == recipe]
        if found.failures():
            row["failed"] = f"{len(failed)} of {found.seeds}: {failed[0]['error']}" if failed else ""
        rows.append(row)
    spread = f"the deviation over {found.seeds} seeds" if found.seeds > 1 else "one standard error"
    said = advice(found.results, found.data.spec.kind)
    return Report(
        title=f"{len(found.recipes)} recipes on {found.data.name}, test split; ± is {spread}",
        facts={
            "data": found.data.name,
            "folder": str(found.folder),
            "budget": dict(found.budget),
            "clock": found.clock,
            "advice": {one.want: one.says for one in said},
            "results": list(found.results),
        },
        rows=rows,
        notes=[
            "* best of those measured alike, or a tie with the best; <= a bound on log p(x), ranked with such only",
            *(f"{one.want}: {one.says}".replace("`", "") for one in said),
        ],
        files=[str(page), *(str(found.folder / name) for name in ("table.csv", "figures.csv"))],
        ok=any("figures" in result for result in found.results),
    )


def _cell(figure: Figure, among_best: Sequence[Figure]) -> str:
    """A figure with its spread, and what it is."""
    bound = "<= " if figure.kind == "lower bound" else ""
    return f"{bound}{figure.shown.rounded}{'*' if figure in among_best else ''}"
