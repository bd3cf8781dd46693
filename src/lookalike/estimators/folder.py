"""An estimator as a run folder: what every command and `lookalike.load` take, and nothing that is unpickled.

    run.json, log.jsonl, checkpoints/    as of any training
    estimator.json                       which estimator it is, its parameters, and what `fit` found beside the model
    estimator.safetensors                rows that a detector's scores are fitted on

A folder that `lookalike train` made of rows has no estimator.json: its estimator has the parameters of the run.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

from ..disk import write_atomically
from ..errors import UserError
from ..models.base import Model
from ..plain import conform
from ..run import ESTIMATOR, Run
from ..tasks.train import header_of
from ..training.state import State
from .base import Learner, is_of, parameters_of

BESIDE = ("mixed_", "n_features_in_", "n_steps_", "seed_", "figures_", "data_", "offset_")
"""What `fit` found, as plain values."""


class SavedEstimator(TypedDict):
    """What estimator.json says."""

    estimator: str
    parameters: dict[str, Any]
    found: dict[str, Any]
    names: list[str] | None


def save(estimator: Learner, folder: Path, overwrite: bool) -> Path:
    """Write a fitted estimator.

    Raises:
        UserError: something is there, or a parameter is no plain value.
    """
    parameters = {name: getattr(estimator, name) for name in parameters_of(estimator)}
    if isinstance(parameters["random_state"], np.random.RandomState):
        parameters["random_state"] = estimator.seed_
    names = getattr(estimator, "feature_names_in_", None)
    told: SavedEstimator = {
        "estimator": public(type(estimator)),
        "parameters": parameters,
        "found": {name: getattr(estimator, name) for name in BESIDE if hasattr(estimator, name)},
        "names": None if names is None else [str(name) for name in names],
    }
    try:
        content = json.dumps(told, indent=1, default=_plain).encode()
    except TypeError as error:
        raise UserError(f"a parameter of {type(estimator).__name__} cannot be saved: {error}.") from None
    spec, recipe = estimator.spec_, estimator.recipe_
    header = header_of(recipe, spec, estimator.data_, estimator.seed_, estimator.model_.device, "float32", {})
    run = Run.create(folder, header, overwrite=overwrite)
    state = State(estimator.model_, recipe.numbers)
    state.step = estimator.n_steps_
    if estimator.figures_:
        run.log({"step": state.step, "seconds": 0.0, "split": "valid", **estimator.figures_})
    state.save(run)
    if rows := estimator._beside():
        rows = {name: np.ascontiguousarray(of) for name, of in rows.items()}  # a view is saved as what it views
        write_atomically(folder / ESTIMATOR[1], safetensors.numpy.save(rows))
    write_atomically(folder / ESTIMATOR[0], content)
    return folder


def load(cls: type[Learner], folder: Path) -> Learner:
    """The estimator of a run folder.

    Raises:
        UserError: it is no run, is of another estimator, or is damaged.
    """
    run = Run.open(folder)
    model, _ = run.load_model()
    told = _read(folder / ESTIMATOR[0], cls) if (folder / ESTIMATOR[0]).exists() else _of_run(cls, run, model)
    estimator = cls(**{name: _tuples(value) for name, value in told["parameters"].items()})
    for name, value in told["found"].items():
        setattr(estimator, name, value)
    if told["names"] is not None:
        estimator.feature_names_in_ = np.array(told["names"], dtype=object)
    estimator.recipe_ = run.recipe
    estimator._hold(model)
    estimator._take_up(run, _rows(folder / ESTIMATOR[1]))
    return estimator


def _read(file: Path, cls: type[Learner]) -> SavedEstimator:
    """What estimator.json says of an estimator of this class."""
    try:
        told: SavedEstimator = json.loads(file.read_text())
        conform(told, SavedEstimator)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file} is damaged ({str(error).rstrip('.')}). Restore it from a copy.") from None
    kind = told["estimator"]
    if kind != public(cls):
        raise UserError(f"{file.parent} holds a {kind}, not a {public(cls)}: load it by {kind}.load.")
    unknown = set(told["parameters"]) - {*parameters_of(cls)} | set(told["found"]) - {*BESIDE}
    if unknown:
        raise UserError(
            f"{file} has {', '.join(sorted(unknown))}, which {cls.__name__} does not know; update Lookalike."
        )
    return told


def _of_run(cls: type[Learner], run: Run, model: Model) -> SavedEstimator:
    """What it would say of a run that the command line made."""
    fits = is_of(run.recipe, cls.families) and isinstance(model, cls.capable)
    if run.spec.kind == "images" or model.conditional or not fits:
        raise UserError(f"{run.path} is of {run.recipe.name} on {run.spec}: that is no {cls.__name__} of rows.")
    mixed = any(column.categories or column.date_format for column in run.spec.columns)
    step = int(run.checkpoints()[-1].name)
    return {
        "estimator": public(cls),
        "parameters": {"recipe": run.recipe.name},
        "found": {
            "mixed_": mixed, "n_features_in_": len(run.spec.columns), "n_steps_": step, "seed_": run.header["seed"],
            "figures_": {}, "data_": run.header["data"],
        },
        "names": [column.name for column in run.spec.columns],
    }  # fmt: skip


def public(cls: type[Learner]) -> str:
    """The name by which a user imports it, below `lookalike.estimators`."""
    module = cls.__module__.rpartition(".")[2]
    return f"pyod.{cls.__name__}" if module == "pyod" else cls.__name__


def _rows(file: Path) -> dict[str, Any]:
    """The rows beside an estimator, none where there are none."""
    if not file.exists():
        return {}
    try:
        return safetensors.numpy.load_file(file)
    except (SafetensorError, OSError) as error:
        raise UserError(f"{file} is damaged ({error}). Restore it from a copy.") from None


def _plain(value: Any) -> Any:
    """numpy's numbers as Python's."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{value!r} is no plain value")


def _tuples(value: Any) -> Any:
    """Lists as the tuples they were, also inside objects."""
    if isinstance(value, list):
        return tuple(map(_tuples, value))
    return {name: _tuples(one) for name, one in value.items()} if isinstance(value, dict) else value
