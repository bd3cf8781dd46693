"""Evaluate a trained model: every metric its theory allows, each with its kind, spread and protocol.

The table `METRICS` says what each metric needs; `Evidence` gathers that of a model and data, each piece once:
one walk over the items of the split gives log p(x), reconstructions and features, one set of samples serves
all that compare samples. What a model or data cannot give is said, and why.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from torch import Tensor, nn

from ..data.base import Data
from ..data.download import data_folder
from ..errors import UserError, nearest
from ..metrics.distances import Estimate
from ..metrics.features import Space, build_space
from ..metrics.reconstruction import ssim_window
from ..metrics.table import METRICS, MetricEntry
from ..models.base import Bounded, Explicit, Latent, Model
from ..models.tractable.flow.flow import Flow
from ..options import Range
from ..page import write_page
from ..report import Metric, MetricKind, Report
from ..run import Run
from ._common import open_run, open_run_data, say
from ._compared import FEATURED, OF_TRAIN
from ._evidence import DENSITIES, Evidence, How, SplitName, Teller, absent, quiet
from ._output import counter

STATIC = "mnist-static"
"""The one data set of which "static" is said: the fixed file that figures in papers are of."""


def evaluate(
    run: str | Path | Run,
    data: str | None = None,
    *,
    split: SplitName = "test",
    metrics: tuple[str, ...] | None = None,
    samples: Annotated[int, Range(1)] = 1000,
    importance_samples: Annotated[int, Range(2)] = 64,
    limit: Annotated[int | None, Range(1)] = None,
    features: str | nn.Module = "auto",
    feature_range: Literal["0..1", "-1..1", "0..255", "imagenet"] | None = None,
    feature_size: Annotated[int | None, Range(1)] = None,
    device: str = "auto",
    seed: int = 0,
    **how: Any,
) -> Report:
    """Measure a trained model on data it has not seen: likelihood, reconstruction, samples.

    Example:
        lookalike evaluate runs/photos --metrics nats,frechet_distance

    Arguments:
        run: folder of the trained model.
        data: name or path of other data of the same kind; the run's own where it is left out.
        split: which items to measure on.
        metrics: names of metrics, as `lookalike catalog` lists them; all that apply where it is left out.
        samples: items to draw from the model for the metrics that compare samples.
        importance_samples: draws for each item in the importance-weighted bounds.
        limit: measure on so many items only, spread evenly over the split.
        features: where samples are compared: units, random-conv, efficientnet-lite0, or an ONNX file of your own
            (in Python also a module); auto takes random-conv for images and units for the rest.
        feature_range: of the intensities that your own network was trained on (0..1, and 0..255 where it takes bytes).
        feature_size: of the images that your own network was trained on, pixels a side; where it is left out, what an
            ONNX file says, else the images' own.
        device: cpu, cuda, mps, or auto.
        seed: of the samples, and of whatever else is drawn.

    Raises:
        UserError: there is no such run, data or metric, or the data do not fit the model.
    """
    opened, model, _ = open_run(run, device)
    found = open_run_data(opened, data, **how)
    numbers, skipped = measure(
        model,
        found,
        split=split,
        metrics=metrics,
        samples=samples,
        importance_samples=importance_samples,
        limit=limit,
        features=features,
        feature_range=feature_range,
        feature_size=feature_size,
        seed=seed,
        progress=counter,
        cache=data_folder() / "features",
    )
    report = Report(
        title=f"{opened.path} on {found.name}, {split} split",
        facts={"run": str(opened.path), "data": found.name, "split": split},
        metrics=numbers,
        skipped=skipped,
        notes=collapse(numbers),
    )
    if data is None and metrics is None:  # the whole of it: what the page of the run is to say
        try:
            write_page(opened, report=report)
        except UserError as why:  # the numbers do not wait for a page
            say(f"note: {why}")
    return report


def measure(
    model: Model,
    data: Data,
    *,
    split: SplitName = "test",
    metrics: Sequence[str] | None = None,
    samples: int = 1000,
    importance_samples: int = 64,
    limit: int | None = None,
    features: str | nn.Module = "auto",
    feature_range: str | None = None,
    feature_size: int | None = None,
    seed: int = 0,
    progress: Callable[[str], Teller] = quiet,
    cache: Path | None = None,
    drawing: Mapping[str, Any] | None = None,
) -> tuple[dict[str, Metric], dict[str, str]]:
    """The metrics of a model on data, by name, and why others were skipped; arguments as `evaluate`.

    Arguments:
        model: in eval mode, on the device to compute on.
        data: that fits the model's spec.
        progress: given what is being done, whom to tell how much of it is.
        cache: folder where features of real images are kept for another time; None to keep none.
        drawing: temperature or truncation of the samples.

    Raises:
        UserError: an unknown metric or feature space, or an empty split.
    """
    space = build_space(features, data.spec, model.door.shape, feature_range, feature_size).to(model.device)
    how = How(split, samples, importance_samples, limit, seed, progress, cache, drawing)
    if not how.items(data):
        raise UserError(f"{data.name} has no {split} items to measure on.")
    wanted, skipped = _choose(METRICS if metrics is None else metrics, data, absent(model, data, split, space))
    with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        results = _compute(wanted, Evidence(model, data, how, space), skipped)
    measured = {}
    for name, result in results.items():
        entry = wanted[name]
        measured[name] = _metric(result, _kind(entry, model), entry.unit, _protocol(entry, model, data, how, space))
    return measured, skipped


def collapse(metrics: Mapping[str, Metric]) -> list[str]:
    """The sentence about a code most of which was given up, if it was."""
    active = metrics.get("active_units")
    if active is None or 10 * active.value >= active.protocol["latent"]:
        return []
    return [
        f"posterior collapse: {active.value:.0f} of {active.protocol['latent']} code numbers carry information. "
        "Train with a smaller --latent, or with --kl-warmup or --free-bits."
    ]


def _choose(
    names: Iterable[str], data: Data, missing: Mapping[str, str]
) -> tuple[dict[str, MetricEntry], dict[str, str]]:
    """The metrics of those names that can be computed, and why the others cannot."""
    wanted: dict[str, MetricEntry] = {}
    skipped: dict[str, str] = {}
    for name in names:
        if name not in METRICS:
            raise UserError(f"no metric named {name!r}.{nearest(name, METRICS)} There are: {', '.join(METRICS)}.")
        entry = METRICS[name]
        if data.spec.kind not in entry.kinds:
            skipped[name] = f"for {' and '.join(entry.kinds)}, and this data is {data.spec.kind}"
        elif lacking := [word for word in entry.evidence.values() if word in missing]:
            skipped[name] = missing[lacking[0]]
        else:
            wanted[name] = entry
    return wanted, skipped


def _compute(
    wanted: Mapping[str, MetricEntry], evidence: Evidence, skipped: dict[str, str]
) -> dict[str, Tensor | Estimate]:
    """What each metric's function gives; one that finds too few items joins the skipped."""
    words = {word for entry in wanted.values() for word in entry.evidence.values()}
    whole = evidence.whole(words)
    parts: dict[str, list[Tensor]] = {name: [] for name, entry in wanted.items() if entry.per_item}
    codes: list[Tensor] = []
    for chunk in evidence.walk(words):
        for name, values in parts.items():
            values.append(_call(wanted[name], {**whole, **chunk}))
        codes += [chunk["code"]] if "code" in chunk else []
    results: dict[str, Tensor | Estimate] = {name: torch.cat(values) for name, values in parts.items()}
    whole |= {"code": torch.cat(codes)} if codes else {}
    once: dict[str, Any] = {}
    for name, entry in wanted.items():
        if not entry.per_item:
            alike = repr((entry.function, entry.evidence, entry.options))
            try:
                once[alike] = once[alike] if alike in once else _call(entry, whole)
                results[name] = getattr(once[alike], entry.part) if entry.part else once[alike]
            except UserError as error:
                skipped[name] = str(error)
    return {name: results[name] for name in wanted if name in results}


def _call(entry: MetricEntry, known: Mapping[str, Any]) -> Any:
    return entry.function(**{argument: known[word] for argument, word in entry.evidence.items()}, **entry.options)


def _metric(result: Tensor | Estimate, kind: MetricKind, unit: str, protocol: Mapping[str, Any]) -> Metric:
    if isinstance(result, Estimate):
        return Metric(result.value.item(), kind, unit, protocol, result.standard_error.item())
    result = result.double()
    value = result.mean().item()
    # One impossible item makes the mean infinite, and then it has no spread.
    spread = result.dim() > 0 and len(result) > 1 and math.isfinite(value)
    return Metric(value, kind, unit, protocol, (result.std() / math.sqrt(len(result))).item() if spread else None)


def _kind(entry: MetricEntry, model: Model) -> MetricKind:
    if entry.kind == "likelihood":
        return "exact" if isinstance(model, Explicit) and model.exact else "lower bound"
    return entry.kind


def _protocol(entry: MetricEntry, model: Model, data: Data, how: How, space: Space) -> dict[str, Any]:
    """All that must be alike for two values to be comparable."""
    words = set(entry.evidence.values())
    stated = _of_data(data, how)
    if not words <= {"samples", "modes", "sigma", "fake_logits", "class_shares", "path"}:
        stated["items"] = how.items(data)
    if words & DENSITIES:
        stated |= _of_likelihood(words, model, how)
    if words & {"fake", "fake_moments", "fake_logits", "fake_to_train", "samples", "path"}:
        stated |= {"samples": how.samples, **(how.drawing or {})}
    if "train_moments" in words:
        stated["samples"] = min(how.samples, len(data.train))
    if words & OF_TRAIN:
        stated["training items"] = len(data.train)
    if words & FEATURED:
        stated["features"] = space.name + (", standardised by the real items" if space.standardise else "")
    if "fake_logits" in words:
        stated["classifier"] = f"{space.name}, {space.classes} classes"
    if "path" in words:
        stated["path"] = "great circle between draws of N(0, I)"
    if "x_hat" in words and data.spec.kind != "images":
        stated["units"] = "standardised columns, one-hot categories"
    if "code" in words and isinstance(model, Latent):
        stated["latent"] = model.latent
    if "modes" in words and data.modes is not None:
        stated["modes"] = len(data.modes[0])
    options = dict(entry.options)
    if "window" in options:
        options["window"] = min(ssim_window(side, options["window"]) for side in data.spec.shape[1:])
    return {**stated, **options, **entry.protocol}


def _of_data(data: Data, how: How) -> dict[str, Any]:
    """Which items these are, and how they became what a model is shown."""
    stated: dict[str, Any] = {"data": data.fingerprint[:12], "split": how.split}
    if data.spec.kind == "images":
        stated["levels"] = data.spec.levels
        binarised = data.splits[how.split].binarize or ("static" if data.name == STATIC else None)
        if binarised is not None:
            stated["binarisation"] = binarised
        if binarised == "dynamic":  # drawn once for an evaluation
            stated["binarisation seed"] = how.seed
    return stated


def _of_likelihood(words: set[str], model: Model, how: How) -> dict[str, Any]:
    stated: dict[str, Any] = {"estimator": _estimator(words, model, how)}
    if isinstance(model, Flow) and not model.exact:
        stated["dequantisation"] = "uniform" if model.noise.bijection is None else "variational"
    if model.conditional:
        stated["given"] = "label"
    return stated


def _estimator(words: set[str], model: Model, how: How) -> str:
    """How log p(x) was come by."""
    if words & {"importance_log_prob", "log_weights"}:
        return f"importance-weighted bound, {how.importance_samples} samples"
    if isinstance(model, Explicit) and model.exact:
        return "log p(x)"
    return "ELBO, 1 sample" if isinstance(model, Bounded) and not isinstance(model, Flow) else "bound, 1 sample"
