"""How much of the labels can be read off codes, beside principal components of the same size and the data itself.

A classifier that is as simple as can be is fitted on codes: what it finds lies there plainly (Alain & Bengio 2016,
arXiv:1610.01644). The same two judge each representation: logistic regression, and a vote of the k nearest.

The encoder and the principal components are those of the training split, without labels. Each time another random half
of its items, with labels, is what the classifiers are fitted on, and a random half of the held-out items is judged, so
that the spread is that of both. A representation is scaled by one number, for whitening would change who is near.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from ..data.base import Split
from ..errors import UserError
from ..options import Range
from ..report import Metric, Report
from ..run import Run
from ._common import open_run, open_run_data
from ._output import counter, csv, output, png, write
from ._vectors import Numbers, encoded, flat, linear_classifier, through

MOST = 20_000
"""Training items that principal components are computed of."""
JUDGES = ("linear", "knn")


def probe(
    run: str | Path | Run,
    data: str | None = None,
    *,
    splits: Annotated[int, Range(2, 100)] = 5,
    labelled: Annotated[int, Range(10)] = 2000,
    judged: Annotated[int, Range(10)] = 5000,
    neighbours: Annotated[int, Range(1)] = 5,
    out: Path | None = None,
    overwrite: bool = False,
    seed: int = 0,
    device: str = "auto",
    **how: Any,
) -> Report:
    """Classify by codes, by principal components of the same size and by the data itself, all alike.

    Example:
        lookalike probe runs/photos -o probe.png
        lookalike probe runs/table table.csv --label kind --splits 10 -o probe.csv

    Arguments:
        run: folder of the trained model.
        data: name or path of other data of the same kind, with labels; the run's own where it is left out.
        splits: how often, each time with other items to fit on and to judge.
        labelled: most items that a classifier is fitted on.
        judged: most items that are judged.
        neighbours: that vote.
        out: where to: a name that ends in .png or .csv (a line a split); by default probe.png in the run folder.
        overwrite: replace what is there.
        seed: of the splits.
        device: auto, cpu, cuda or mps.

    Raises:
        UserError: the data have no labels; the model has no encoder; the output exists; the data do not fit.
    """
    path, ending = output(out, Run.open(run).path / "probe.png", (".png", ".csv"), overwrite=overwrite)
    opened, model, _ = open_run(run, device)
    through(model)
    if model.conditional:
        raise UserError(f"the encoder of {opened.path} is told the label, so reading it off the code says nothing.")
    found = open_run_data(opened, data, **how)
    if not found.spec.classes or found.train.y is None:
        raise UserError(f"{found.name} has no labels to read off codes: name data that have, or the column by --label.")
    sides = [_side(found.train, MOST, seed), _side(found.test, 2 * judged, seed)]
    if min(len(y) for _, y in sides) < 10:
        raise UserError(f"{found.name} has too few items with labels: at least 10 to fit on and 10 to judge.")
    codes = [encoded(model, x, seed=seed) for x, _ in sides]
    raw = [flat(found.spec, x) for x, _ in sides]
    views = {"codes": codes, "pca": _principal(raw, codes[0].shape[1]), "data": raw}
    y_fit, y_judged = (y.numpy() for _, y in sides)
    rows = _rows(views, y_fit, y_judged, splits, labelled, judged, neighbours, seed)
    figures = {(view, judge): np.array([row[f"{view}_{judge}"] for row in rows]) for view in views for judge in JUDGES}
    protocol = {"data": found.fingerprint[:12], "splits": splits, "labelled": min(labelled, len(y_fit) // 2)}
    protocol |= {"judged": min(judged, len(y_judged) // 2), "neighbours": neighbours, "seed": seed}
    metrics = {
        f"{view}_{judge}": Metric(of.mean(), "estimate", "", protocol, of.std(ddof=1) / math.sqrt(splits))
        for (view, judge), of in figures.items()
    }
    size = codes[0].shape[1]
    names = {
        "codes": f"codes ({size})",
        "pca": f"PCA ({views['pca'][0].shape[1]})",
        "data": f"data ({raw[0].shape[1]})",
    }
    write(path, _csv(rows) if ending == ".csv" else png(_picture(metrics, names, f"{opened.path} on {found.name}")))
    return Report(
        title=f"accuracy of classifiers on {size} numbers by {opened.path}, on {found.name}",
        facts={"run": str(opened.path), "data": found.name, "latent": size, "splits": splits},
        metrics=metrics,
        files=[str(path)],
    )


def _side(items: Split, most: int, seed: int) -> tuple[Any, Any]:
    x, y = items.thinned(most).first(most, seed)
    assert y is not None
    return x.cpu(), y.cpu()


def _principal(raw: list[Numbers], size: int) -> list[Numbers]:
    """Principal components of the first, as many as the code has numbers, of both."""
    from sklearn.decomposition import PCA

    fitted = PCA(min(size, *raw[0].shape), random_state=0).fit(raw[0])
    return [fitted.transform(of) for of in raw]


def _rows(
    views: dict[str, list[Numbers]],
    y_fit: np.ndarray,
    y_judged: np.ndarray,
    splits: int,
    labelled: int,
    judged: int,
    neighbours: int,
    seed: int,
) -> list[dict[str, float]]:
    """The accuracy of each judge on each view, a row a split."""
    rows, told = [], counter("probing")
    for i in range(splits):
        drawn = np.random.default_rng((seed, i))
        fit = drawn.permutation(len(y_fit))[: min(labelled, len(y_fit) // 2)]
        test = drawn.permutation(len(y_judged))[: min(judged, len(y_judged) // 2)]
        if len(np.unique(y_fit[fit])) < 2:
            raise UserError("all items drawn to fit on have one label: there is nothing to tell apart.")
        row: dict[str, float] = {"split": i}
        for name, (v_fit, v_test) in views.items():
            scale = v_fit.std(0).mean() or 1.0
            scores = _judged(v_fit[fit] / scale, y_fit[fit], v_test[test] / scale, y_judged[test], neighbours)
            row |= {f"{name}_{judge}": score for judge, score in zip(JUDGES, scores, strict=True)}
        rows.append(row)
        told(i + 1, splits)
    return rows


def _judged(v: Numbers, y: np.ndarray, v_test: Numbers, y_test: np.ndarray, neighbours: int) -> tuple[float, float]:
    from sklearn.neighbors import KNeighborsClassifier

    linear = linear_classifier(v, y)
    near = KNeighborsClassifier(min(neighbours, len(v))).fit(v, y)
    return float(linear.score(v_test, y_test)), float(near.score(v_test, y_test))


def _csv(rows: list[dict[str, float]]) -> bytes:
    import pandas as pd

    return csv(pd.DataFrame(rows))


def _picture(metrics: dict[str, Metric], names: dict[str, str], title: str) -> Any:
    from ..pictures.codes import accuracies

    groups = {
        name: [(metrics[f"{view}_{judge}"].value, metrics[f"{view}_{judge}"].standard_error or 0.0) for judge in JUDGES]
        for view, name in names.items()
    }
    return accuracies(groups, ["logistic regression", "nearest neighbours"], title)
