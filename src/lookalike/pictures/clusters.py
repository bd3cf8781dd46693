"""Clusters: how many there are, the tree they come from, and where they lie."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .chart import DATA, FAINT, INK, MODEL, OTHER, Numbers, figure_of, picture_of
from .groups import colour, scatter

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEAVES = 40
"""Of a tree that is drawn; each stands for as many items as are below it."""


def clusters(
    at: Numbers,
    labels: NDArray[np.int64],
    kinds: NDArray[np.str_] | None = None,
    *,
    errors: Mapping[int, float] = {},
    elbow: int = 0,
    silhouettes: Mapping[int, float] = {},
    trees: Mapping[str, Numbers] = {},
    distances: tuple[Numbers, float] | None = None,
    where: str = "",
) -> Image.Image:
    """What speaks for so many clusters, and where they lie.

    Arguments:
        at: places in the plane, shape (N, 2); `where` says of what.
        labels: shape (N,), -1 for none. kinds: core, border or noise, likewise.
        errors, silhouettes: by k; the elbow of the errors is marked, and the k that was taken.
        trees: SciPy's linkage matrices, a panel for each.
        distances: to the m-th nearest item, rising, and eps.
    """
    k = int(labels.max()) + 1
    panels: list[Callable[[Axes], None]] = [
        functools.partial(_dendrogram, name=name, tree=tree, k=k) for name, tree in trees.items()
    ]
    if len(errors) > 1:
        panels.append(lambda ax: _curve(ax, errors, k, elbow, "squared error"))
    if len(silhouettes) > 1:
        panels.append(lambda ax: _curve(ax, silhouettes, k, 0, "silhouette"))
    if distances is not None:
        near, eps = distances
        panels.append(lambda ax: _radius(ax, near, eps))
    panels.append(lambda ax: _places(ax, at, labels, kinds, where))
    across = 2 if len(panels) == 4 else min(3, len(panels))
    figure, axes = figure_of(-(-len(panels) // across), across, 3.7, 3.2, count=len(panels))
    for draw, ax in zip(panels, axes, strict=True):
        draw(ax)
    return picture_of(figure)


def _curve(ax: Axes, values: Mapping[int, float], k: int, elbow: int, name: str) -> None:
    ks = list(values)
    ax.plot(ks, list(values.values()), color=MODEL, linewidth=1.6, marker="o", markersize=3.5)
    if k in values:
        ax.plot([k], [values[k]], "o", color=OTHER, markersize=7)
    said = f"{name}, k = {k}"
    if elbow:
        ax.axvline(elbow, color=DATA, linewidth=1, linestyle="--")
        said += f", elbow at {elbow}"
    ax.set(xlabel="k")
    ax.grid(color=FAINT, linewidth=0.5, alpha=0.6)
    ax.set_title(said, fontsize=10, color=INK, loc="left")


def _dendrogram(ax: Axes, name: str, tree: Numbers, k: int) -> None:
    from matplotlib.collections import LineCollection
    from scipy.cluster.hierarchy import dendrogram

    drawn = dendrogram(tree, p=LEAVES, truncate_mode="lastp", no_plot=True)
    lines = [np.stack(link, axis=1) for link in zip(drawn["icoord"], drawn["dcoord"], strict=True)]
    ax.add_collection(LineCollection(lines, colors=MODEL, linewidths=1))
    heights = tree[:, 2]
    if 1 < k <= len(heights):
        ax.axhline(float(heights[-k] + heights[-k + 1]) / 2, color=OTHER, linewidth=1, linestyle="--")
    ax.set(xlim=(0, 10 * len(drawn["ivl"])), ylim=(0, 1.05 * heights[-1]), xticks=[])
    ax.set_title(f"{name}, cut into {k}", fontsize=10, color=INK, loc="left")


def _radius(ax: Axes, near: Numbers, eps: float) -> None:
    ax.plot(np.arange(len(near)), near, color=MODEL, linewidth=1.6)
    ax.axhline(eps, color=OTHER, linewidth=1, linestyle="--")
    ax.set(xlabel="items, by that distance")
    ax.set_title(f"distance to the m-th nearest, eps = {eps:.3g}", fontsize=10, color=INK, loc="left")


def _places(ax: Axes, at: Numbers, labels: NDArray[np.int64], kinds: NDArray[np.str_] | None, where: str) -> None:
    if kinds is None:
        scatter(ax, at, labels, title=where)
        return
    from matplotlib.lines import Line2D

    size = float(np.clip(6000 / len(at), 4, 18))
    noise, border, core = (kinds == kind for kind in ("noise", "border", "core"))
    ax.scatter(at[noise, 0], at[noise, 1], size, color=DATA, marker="x", linewidths=0.8, alpha=0.8)
    for group in range(int(labels.max()) + 1):
        mine, hue = labels == group, colour(group)
        ax.scatter(at[mine & core, 0], at[mine & core, 1], size, color=hue, linewidths=0, alpha=0.7)
        edge = at[mine & border]
        ax.scatter(edge[:, 0], edge[:, 1], 1.3 * size, facecolors="none", edgecolors=hue, linewidths=0.7)
    marks = [
        Line2D([], [], marker="o", linestyle="", color=INK, markersize=4, label=f"core ({core.sum():,})"),
        Line2D([], [], marker="o", linestyle="", color=INK, fillstyle="none", label=f"border ({border.sum():,})"),
        Line2D([], [], marker="x", linestyle="", color=DATA, label=f"noise ({noise.sum():,})"),
    ]
    for mark in marks:
        mark.set_markersize(4)
    words = {"frameon": False, "fontsize": 8, "labelcolor": INK, "handletextpad": 0.1, "columnspacing": 0.8}
    ax.legend(handles=marks, loc="lower left", bbox_to_anchor=(-0.05, 0.98), ncols=3, **words)
    ax.set_title(where, fontsize=10, color=INK, loc="left", pad=20)
