"""Train any recipe on any data: the command that makes a run."""

from __future__ import annotations

import json
import os
import platform
import shlex
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from ..data import DATASETS, Data, open_data
from ..errors import UserError
from ..header import SavedData
from ..options import options_of
from ..recipe import Recipe, find
from ..run import Run, held
from ..spec import Spec
from ..training.device import find_device
from ..training.examine import Examiner
from ..training.flaws import flaws
from ..training.loop import Collapsed, Interrupted, fit
from ..training.players import rates
from ..training.processes import joined, led, own_device
from ..training.progress import Line, duration
from ..training.schedule import between_milestones
from ..training.vitals import Vitals
from ..training.watch import OnCollapse, Watch
from ._common import say
from ._finish import finish
from .prior import coded
from .prior import prior as of_codes


def train(
    recipe: str,
    data: str | Any | None = None,
    *,
    out: Path | None = None,
    seed: int = 0,
    resume: bool = False,
    overwrite: bool = False,
    device: str = "auto",
    precision: Literal["auto", "float32", "bf16"] = "auto",
    tensorboard: bool = False,
    prior: str | None = None,
    on_collapse: OnCollapse = "warn",
    **given: Any,
) -> Run:
    """Train a recipe on data, and keep all of it in a run folder.

    Options of the recipe, of its training and of the data are flags too:
    `lookalike train RECIPE --help` shows them.

    Example:
        lookalike train vae photos/ -o runs/photos --minutes 10
        lookalike train r3
        lookalike train realnvp table.csv --label kind --steps 3000
        lookalike train vqvae photos/ --prior pixelcnn

    Arguments:
        recipe: what to train; `lookalike catalog` lists them.
        data: a name, a folder, an archive or a file; the recipe's own where none is named.
        out: the run folder; by default runs/RECIPE-DATA.
        seed: of everything random; the same seed gives the same model on one machine.
        resume: go on where the run was stopped.
        overwrite: start anew where there is a run already.
        device: auto, cpu, cuda or mps.
        precision: of the networks; auto takes bf16 where the model allows it and the hardware is fast at it.
        tensorboard: write the log for TensorBoard too, in the run folder.
        on_collapse: what to do when the doctor finds the training ill: say so; stop, saved, with exit code 1; or
            roll back to the last healthy checkpoint, with half the rate, at most three times.
        prior: recipe of a second run, on the codes of the first (vqvae), as `lookalike prior` trains it.
    """
    if resume and overwrite:
        raise UserError("--resume goes on with a run and --overwrite starts it anew: choose one.")
    chosen = find(recipe)
    how, networks, options = _sort(given)
    if data is None:
        data = chosen.data
        if chosen.binarize:
            how = {"binarize": chosen.binarize, **how}
    opened = open_data(data, **how)  # not with the seed: runs that differ in it are to share their splits
    resolved = chosen.resolved(opened.spec.kind, options)
    model = seeded_model(resolved, opened, seed, networks)
    if prior is not None:
        _check_prior(prior, model)
    rates(model, resolved.numbers)  # refused now, before anything is written
    if on_collapse == "rollback" and int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UserError("--on-collapse rollback is for one process: choose stop or warn.")
    place = own_device(find_device(device))
    out = Path(out or f"runs/{recipe}-{_slug(opened.name)}")
    header = header_of(resolved, opened.spec, told_of(opened), seed, place, precision, networks)

    def begin() -> Run:
        holding.enter_context(held(out))
        goes_on = resume and (out / "run.json").exists()
        run = _take_up(out, header) if goes_on else Run.create(out, header, overwrite=overwrite)
        if tensorboard:
            run.mirror()
        for words in (str(opened), *opened.notes, f"training {recipe} on {place} into {out}"):
            say(words)
        return run

    with joined(place) as team, ExitStack() as holding:
        run = led(begin, team, place) or Run.open(out)
        run.networks = networks
        between = between_milestones(resolved.numbers, opened)
        try:
            state = fit(
                model,
                opened,
                resolved.numbers,
                run=run,
                seed=seed,
                device=place,
                precision=precision,
                resume=resume,
                examine=Examiner(opened, out / "samples", seed, between),
                watch=Watch(Vitals(opened, seed, between), on_collapse, flaws(opened)) if team.leads else None,
                line=Line(recipe, shown=team.leads),
                team=team,
            )
        except Interrupted as stopped:
            if team.leads:
                say(f"{stopped}. Go on with the same command and --resume.")
            raise
        except Collapsed as stopped:
            say(str(stopped))
            state, run.ok = stopped.state, False
        if team.leads:
            say(f"trained {state.step} steps in {duration(state.seconds)}")
            if state.step <= model.prepares:
                say(f"note: {model.prepares} steps go to its layers, so the whole is untrained: give more --steps")
            trained = state.average.eval()
            if trained.keeps_best and (best := run.best()) is not None:
                trained = run.load_model()[0].to(place)
                say(f"note: on the validation split it was best at step {int(best.name)}: that model is kept")
            finish(run, trained, opened, seed)
            say(f"its page: {run.path / 'report.html'}; measure it on the test split: lookalike evaluate {run.path}")
    if prior is not None and run.ok:
        of_codes(run, recipe=prior, resume=resume, seed=seed, device=device)
    return run


def _check_prior(prior: str, model: Any) -> None:
    """Refuse now what could not be done in hours."""
    coded(model)
    if "images" not in find(prior).kinds:
        raise UserError(f"--prior {prior}: the codes are images, which that recipe does not take; try pixelcnn.")
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UserError("--prior is for one process; after this training call `lookalike prior RUN`.")


def seeded_model(recipe: Recipe, data: Data, seed: int, networks: dict[str, nn.Module]) -> Any:
    """The model with weights that depend on the seed."""
    torch.manual_seed(seed)
    return recipe.model(data.spec, **networks)


def _sort(given: dict[str, Any]) -> tuple[dict[str, Any], dict[str, nn.Module], dict[str, Any]]:
    """What was given, as (for open_data, the user's own networks, for the recipe)."""
    of_data = options_of(open_data)
    networks = {name: value for name, value in given.items() if callable(value)}  # modules, and samplers of codes
    how = {name: value for name, value in given.items() if name in of_data}
    rest = {name: value for name, value in given.items() if name not in how and name not in networks}
    return how, networks, rest


def header_of(
    recipe: Recipe,
    spec: Spec,
    data: SavedData,
    seed: int,
    device: torch.device | str,
    precision: str,
    networks: Mapping[str, nn.Module],
) -> dict[str, Any]:
    """What run.json says of a training."""
    return {
        "recipe": recipe.to_json(),
        "reference": recipe.reference,
        "spec": spec.to_json(),
        "data": data,
        "seed": seed,
        "networks": sorted(networks),
        "command": command(),
        "environment": {
            "lookalike": version("lookalike"),
            "python": platform.python_version(),
            "torch": torch.__version__,
            "platform": platform.platform(),
            "device": str(device),
            "threads": torch.get_num_threads(),
            "precision": precision,
            "processes": int(os.environ.get("WORLD_SIZE", "1")),
        },
    }


def told_of(data: Data) -> SavedData:
    """What run.json says of data."""
    return {
        "name": data.name,
        "where": _where(data),
        "line": str(data),
        "options": dict(data.options),
        "fingerprint": data.fingerprint,
        "notes": list(data.notes),
        "reopens": data.reopens,
    }


def _where(data: Data) -> str:
    """What opens the data from any folder."""
    if data.name in DATASETS or not data.reopens:
        return data.name
    return os.path.abspath(Path(data.name).expanduser())


def command() -> str:
    """The command line, if this is one."""
    program = Path(sys.argv[0]).stem
    return shlex.join(["lookalike", *sys.argv[1:]]) if program in ("lookalike", "__main__") else ""


def _take_up(out: Path, header: Mapping[str, Any]) -> Run:
    """The run to resume, if it is of the same recipe, data and seed.

    Raises:
        UserError: they differ; it says in what.
    """
    run = Run.open(out)
    saved, asked = _told_apart(run.header), _told_apart(header)
    if saved["the data's content"] == asked["the data's content"]:
        asked["data"] = saved["data"]  # the same by another path
    differing = [name for name in saved | asked if saved.get(name) != asked.get(name)]
    if differing:
        told = "; ".join(f"{name} was {saved.get(name)!r} and is now {asked.get(name)!r}" for name in differing[:6])
        raise UserError(f"{out} cannot be resumed with other settings: {told}. Use the first command, or another -o.")
    return run


def _told_apart(header: Mapping[str, Any]) -> dict[str, Any]:
    """What must be alike for a resume, flat."""
    recipe = json.loads(json.dumps(header["recipe"]))
    return {
        "recipe": recipe["name"],
        **recipe["options"],
        **recipe["training"],
        "data": header["data"]["name"],
        "the data's content": header["data"]["fingerprint"],
        "seed": header["seed"],
        "networks": header["networks"],
    }


def _slug(name: str) -> str:
    """A data set's name as part of a folder's."""
    stem = Path(name).stem or Path(name).name
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in stem).strip("-") or "data"
