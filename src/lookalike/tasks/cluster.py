"""Group items by their codes, or by themselves: the clusters of `_clusters`, written, drawn and described."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import torch

from ..errors import UserError
from ..nn.doors import Door
from ..options import Range
from ..report import Metric, Report
from ..run import Run
from ._clusters import NOISE, Clusters, agglomerative, dbscan, divisive, elbow, hdbscan, kmeans, silhouette
from ._output import csv, label_words, output, png, write
from ._vectors import Numbers, On, Vectors, Which, beside, vectors

if TYPE_CHECKING:
    from PIL.Image import Image

Method = Literal["kmeans", "divisive", "agglomerative", "dbscan", "hdbscan"]

OF_DENSITY = ("dbscan", "hdbscan")
MOST = {"agglomerative": 5000, "hdbscan": 20_000}
"""Items of methods that look at all pairs, where the user does not say."""
ACROSS = 12
"""Pictures that are shown of a cluster."""
SHOWN = 20
"""Clusters that are shown, the largest."""


def cluster(
    source: str | Path | Run | Any,
    data: str | None = None,
    *,
    on: On = "auto",
    method: Method = "kmeans",
    k: Annotated[int | Literal["auto"], Range(2)] = "auto",
    most: Annotated[int, Range(2, 500)] = 15,
    linkage: Literal["single", "complete", "average"] = "average",
    eps: Annotated[float | None, Range(0, above=True)] = None,
    min_samples: Annotated[int | None, Range(1)] = None,
    min_size: Annotated[int | None, Range(2)] = None,
    split: Which = "all",
    limit: Annotated[int | None, Range(2)] = None,
    out: Path | None = None,
    overwrite: bool = False,
    seed: int = 0,
    device: str = "auto",
    **how: Any,
) -> Report:
    """Group items by their codes, or as they are, and say how many groups there are.

    A .csv holds a line an item: which it is, its cluster (0 is the largest; -1 none), how far it is from the mean of
    its cluster, of dbscan and hdbscan whether it is core, border or noise, and its label where there are labels. A .png
    of the same name shows what speaks for that many clusters, where they lie, and of images some of each.

    Example:
        lookalike cluster runs/photos -o clusters.csv
        lookalike cluster table.csv --method agglomerative --linkage complete --k 4 -o clusters.csv
        lookalike cluster runs/table new.csv --method dbscan -o clusters.csv

    Arguments:
        source: folder of a trained model, or data: a name, a folder, an archive or a file.
        data: name or path of other data for the model; its own where it is left out.
        on: what is grouped: codes of the model, or the data itself; auto takes codes where there is a model.
        method: kmeans, divisive (recursive 2-means), agglomerative, or by density: dbscan, hdbscan.
        k: how many clusters; auto takes the k of the best silhouette. Density says it by itself.
        most: the largest k that is tried.
        linkage: of agglomerative, how near two clusters are: by their closest pair, their farthest, or the mean.
        eps: of dbscan, how near company must be; by default where the curve of distances bends.
        min_samples: of dbscan and hdbscan, how many items within reach, itself counted, make an item
            core; by default the logarithm of how many there are, and at least 5.
        min_size: of hdbscan, the smallest cluster; by default a hundredth of the items.
        split: which items; all of them, in their original order, or one split.
        limit: most items that are taken, spread evenly; by default all, of agglomerative 5,000
            and of hdbscan 20,000.
        out: where to, a name that ends in .csv; by default clusters.csv in the run folder, or in the current one.
        overwrite: replace what is there.
        seed: of everything random.
        device: auto, cpu, cuda or mps.

    Raises:
        UserError: the model has no encoder; an option is not of this method; the output exists; the data do not fit.
    """
    _refuse(method, k, eps, min_size)
    path, _ = output(out, beside(source, "clusters.csv"), (".csv",), overwrite=overwrite)
    picture, _ = output(path.with_suffix(".png"), path, (".png",), overwrite=overwrite)
    of = vectors(source, data, on=on, split=split, limit=limit or MOST.get(method), seed=seed, device=device, how=how)
    if len(of.v) < 3 or (isinstance(k, int) and k > len(of.v)):
        raise UserError(f"{of.what}: {len(of.v)} items cannot be put into {k if k != 'auto' else 2} clusters.")
    asked = None if k == "auto" else k
    if method == "agglomerative":
        found = agglomerative(of.v, asked, most, seed, linkage)
    elif method == "dbscan":
        found = dbscan(of.v, eps, min_samples)
    elif method == "hdbscan":
        found = hdbscan(of.v, min_size, min_samples)
    else:
        found = {"kmeans": kmeans, "divisive": divisive}[method](of.v, asked, most, seed)
    write(path, _csv(of, found))
    write(picture, png(_picture(of, found)))
    metrics = _metrics(of, found, method, seed)
    return Report(
        title=f"{found.k} clusters of {len(of.v)} {of.what}, by {method}",
        facts={"source": str(of.run.path if of.run else of.data.name), "data": of.data.name, "on": of.on}
        | {"method": method, "k": found.k, "n": len(of.v), "split": split},
        metrics=metrics,
        rows=_rows(of, found)[:SHOWN],
        files=[str(path), str(picture)],
        notes=_notes(of, found, split),
    )


def _refuse(method: str, k: int | str, eps: float | None, min_size: int | None) -> None:
    """Options that mean nothing to a method."""
    if method in OF_DENSITY and k != "auto":
        raise UserError(f"{method} finds by itself how many clusters there are: leave --k out, or vary --min-samples.")
    if eps is not None and method != "dbscan":
        raise UserError(f"--eps is of dbscan, not of {method}.")
    if min_size is not None and method != "hdbscan":
        raise UserError(f"--min-size is of hdbscan, not of {method}.")


def _notes(of: Vectors, found: Clusters, split: str) -> list[str]:
    notes = []
    if found.errors and found.silhouettes:
        best = max(found.silhouettes, key=found.silhouettes.__getitem__)
        notes.append(
            f"the elbow of the squared error is at k = {elbow(found.errors)}, the best silhouette at k = {best}"
        )
    elif found.silhouettes:
        notes.append(f"the best silhouette is at k = {max(found.silhouettes, key=found.silhouettes.__getitem__)}")
    if found.distances is not None:
        notes.append(f"eps = {found.distances[1]:.4g}")
    if found.k >= SHOWN:
        notes.append(f"the {SHOWN} largest are shown; the file has all {found.k}")
    if found.kinds is not None:
        counts = [f"{int((found.kinds == kind).sum())} {kind}" for kind in ("core", "border", "noise")]
        notes.append(", ".join(counts))
    total = len(of.data.items if split == "all" else of.data.splits[split])
    if len(of.v) < total:
        notes.append(f"{len(of.v)} of {total} items were taken, spread evenly; --limit takes more")
    return notes


def _metrics(of: Vectors, found: Clusters, method: str, seed: int) -> dict[str, Metric]:
    """The silhouette, and where there are labels how far the clusters agree with them."""
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    protocol = {"data": of.data.fingerprint[:12], "items": len(of.v), "on": of.on, "method": method, "k": found.k}
    metrics = {}
    if (score := silhouette(of.v, found.labels, seed)) is not None:
        metrics["silhouette"] = Metric(score, "estimate", "", protocol)
    if of.y is not None:
        for name, agree in (("ari", adjusted_rand_score), ("nmi", normalized_mutual_info_score)):
            metrics[name] = Metric(float(agree(of.y.numpy(), found.labels)), "exact", "", protocol)
    return metrics


def _names(found: Clusters) -> list[int]:
    return [*range(found.k), *([NOISE] if (found.labels == NOISE).any() else [])]


def _rows(of: Vectors, found: Clusters) -> list[dict[str, Any]]:
    """Each cluster in a line: how large it is, which label is most frequent in it, what is unlike the rest in it."""
    rows = []
    standard = Door(of.spec).double().enter(of.x).numpy() if of.spec.columns else None
    for name in _names(found):
        mine = found.labels == name
        row: dict[str, Any] = {"cluster": "noise" if name == NOISE else name, "items": int(mine.sum())}
        row["share"] = f"{mine.mean():.1%}"
        if of.y is not None and of.spec.classes:
            counts = np.bincount(of.y.numpy()[mine], minlength=len(of.spec.classes))
            row["mostly"] = f"{of.spec.classes[counts.argmax()]} ({counts.max() / mine.sum():.0%})"
        if standard is not None:
            row["unlike the rest in"] = _unlike(of, standard, mine)
        rows.append(row)
    return rows


def _unlike(of: Vectors, standard: Numbers, mine: np.ndarray) -> str:
    """The columns in which the mean of a cluster, or the share of a category, is farthest from all, in deviations."""
    shift, told = standard[mine].mean(0) - standard.mean(0), []
    for field in Door(of.spec).fields:
        column = of.spec.columns[field.column]
        if field.real:
            told.append((abs(shift[field.start]), f"{column.name} {shift[field.start]:+.1f}"))
        elif column.categories:
            k = int(shift[field.entries].argmax())
            of_all, here = standard[:, field.start + k].mean(), standard[mine, field.start + k].mean()
            words = f"{column.name} is {column.categories[k] or 'missing'} ({here:.0%})"
            told.append(((here - of_all) / max((of_all * (1 - of_all)) ** 0.5, 1e-9), words))
    best = sorted(told, key=lambda pair: -pair[0])[:3]
    return ", ".join(words for size, words in best if size >= 0.2)


def _away(of: Vectors, found: Clusters) -> Numbers:
    """How far each item is from the mean of its cluster; NaN of noise."""
    away = np.full(len(of.v), np.nan)
    for name in range(found.k):
        mine = found.labels == name
        away[mine] = np.linalg.norm(of.v[mine] - of.v[mine].mean(0), axis=1)
    return away


def _csv(of: Vectors, found: Clusters) -> bytes:
    import pandas as pd

    columns: dict[str, Any] = {"item": of.item.numpy()}
    columns |= {"name": of.names} if of.names else {}
    columns |= {"cluster": found.labels, "distance": _away(of, found)}
    columns |= {} if found.kinds is None else {"kind": found.kinds}
    columns |= {} if of.y is None else {"label": label_words(of.spec, of.y) if of.spec.classes else of.y.numpy()}
    return csv(pd.DataFrame(columns))


def _picture(of: Vectors, found: Clusters) -> Image:
    from ..pictures import grid, stack
    from ..pictures.clusters import clusters

    at, where = in_plane(of.v, of.on)
    bend = elbow(found.errors) if len(found.errors) > 1 else 0
    picture = clusters(
        at,
        found.labels,
        found.kinds,
        errors=found.errors,
        elbow=bend,
        silhouettes=found.silhouettes,
        trees=found.trees,
        distances=found.distances,
        where=where,
    )
    if of.spec.kind != "images":
        return picture
    rows, names = [], []
    for name in _names(found)[:SHOWN]:
        rows.append(of.x[_spread(of, found, name)])
        names.append("noise" if name == NOISE else f"{name} ({int((found.labels == name).sum()):,})")
    return stack([picture, grid(torch.cat(rows), columns=ACROSS, row_labels=names)])


def _spread(of: Vectors, found: Clusters, name: int) -> torch.Tensor:
    """`ACROSS` items of a cluster from its middle to its edge; repeated where it has fewer."""
    mine = np.flatnonzero(found.labels == name)
    order = mine[np.argsort(np.linalg.norm(of.v[mine] - of.v[mine].mean(0), axis=1), kind="stable")]
    return torch.from_numpy(order[np.linspace(0, len(order) - 1, ACROSS).round().astype(int)])


def in_plane(v: Numbers, on: str) -> tuple[Numbers, str]:
    """Vectors in the plane, (N, 2): as they are, or on their two principal axes; and what that is."""
    if v.shape[1] == 2:
        return v, on
    if v.shape[1] == 1:
        return np.concatenate([v, np.zeros_like(v)], axis=1), on
    from sklearn.decomposition import PCA

    return PCA(2, random_state=0).fit_transform(v), f"two principal axes of {on}"
