"""Clusters of vectors by scikit-learn and SciPy, and how many of them there are.

    kmeans          k centres, each item with the nearest; begun by k-means++      Arthur & Vassilvitskii 2007
    divisive        recursive 2-means: the cluster of largest squared error is split, again and again
    agglomerative   the two nearest clusters are joined; near by the closest pair (single), the farthest
                    (complete), or the mean over pairs (average)
    dbscan          core: at least m items within eps, itself counted; border: within eps of a core item;
                    noise: neither                                                   Ester et al. 1996
    hdbscan         the clusters that last longest as eps falls                      Campello et al. 2013

k is that of the best mean silhouette, (b - a) / max(a, b) of each item, a its mean distance to its own cluster and b
to the next one (Rousseeuw 1987). The elbow is where the curve of squared errors lies farthest below the line between
its ends (Satopaa et al. 2011), and so is eps on the curve of distances to the m-th nearest item.

HDBSCAN has no border of its own: here it is where one of an item's m nearest is not in its cluster. m is the logarithm
of the number of items, and at least 5, unless it is given.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import UserError

Numbers = NDArray[np.float64]
Labels = NDArray[np.int64]

LINKAGES = ("single", "complete", "average")
JUDGED = 2000
"""Items on which silhouettes are measured; their distances are held at once."""
NOISE = -1
STARTS = 4


class Clusters(NamedTuple):
    """What was found for N vectors.

    Arguments:
        labels: shape (N,), 0 for the largest cluster; `NOISE` for none.
        kinds: core, border or noise, of each, where the method tells them apart.
        silhouettes: by k, where several were tried.
        errors: sum of squared distances to the centres by k, likewise.
        trees: SciPy's linkage matrices, by name.
        distances: to the m-th nearest item, rising, and eps.
    """

    labels: Labels
    kinds: NDArray[np.str_] | None = None
    silhouettes: dict[int, float] = {}
    errors: dict[int, float] = {}
    trees: dict[str, Numbers] = {}
    distances: tuple[Numbers, float] | None = None

    @property
    def k(self) -> int:
        return int(self.labels.max()) + 1


def kmeans(v: Numbers, k: int | None, most: int, seed: int) -> Clusters:
    """k-means begun by k-means++; for each k up to `most`."""
    from sklearn.cluster import KMeans

    tried, errors = {}, {}
    for j in range(1, max(k or 0, _most(v, most)) + 1):
        fitted = KMeans(j, init="k-means++", n_init=STARTS, random_state=seed).fit(v)
        tried[j], errors[j] = fitted.labels_, float(fitted.inertia_)
    return _chosen(v, tried.__getitem__, k, max(tried), seed, errors=errors)


def divisive(v: Numbers, k: int | None, most: int, seed: int) -> Clusters:
    """Recursive 2-means: what is split is the cluster of the largest squared error."""
    from sklearn.cluster import KMeans

    most = max(k or 0, _most(v, most))
    parts, steps = {0: np.arange(len(v))}, [np.zeros(len(v), dtype=np.int64)]
    inside, split_into = {0: _error(v)}, {}
    while len(parts) < most:
        which = max(parts, key=inside.__getitem__)
        if inside[which] <= 0:
            break  # the rest are copies of each other
        of = parts.pop(which)
        side = KMeans(2, n_init=STARTS, random_state=seed).fit_predict(v[of])
        split_into[which] = (len(inside), len(inside) + 1)
        for half, name in enumerate(split_into[which]):
            parts[name] = of[side == half]
            inside[name] = _error(v[parts[name]])
        labels = np.empty(len(v), dtype=np.int64)
        for i, members in enumerate(parts.values()):
            labels[members] = i
        steps.append(labels)
    errors = {j + 1: sum(_error(v[labels == i]) for i in range(j + 1)) for j, labels in enumerate(steps)}
    tree = _tree(split_into, inside, list(parts))
    found = _chosen(v, lambda j: steps[j - 1], k, len(steps), seed, errors=errors)
    return found._replace(trees={} if tree is None else {"squared error of what is split": tree})


def agglomerative(v: Numbers, k: int | None, most: int, seed: int, linkage: str) -> Clusters:
    """Joined from single items up, near by `linkage`; the trees of all three linkages."""
    from scipy.cluster.hierarchy import fcluster
    from scipy.cluster.hierarchy import linkage as join
    from scipy.spatial.distance import squareform
    from sklearn.metrics import pairwise_distances

    apart = squareform(pairwise_distances(v), checks=False)
    trees = {name: join(apart, name) for name in LINKAGES}

    def cut(j: int) -> Labels:
        return fcluster(trees[linkage], j, "maxclust").astype(np.int64) - 1

    return _chosen(v, cut, k, max(k or 0, _most(v, most)), seed)._replace(trees=trees)


def dbscan(v: Numbers, eps: float | None, min_samples: int | None) -> Clusters:
    """Clusters of items with company; eps where the distance to the m-th item bends, unless it is given."""
    from sklearn.cluster import DBSCAN
    from sklearn.neighbors import NearestNeighbors

    m = _company(v, min_samples)
    near = np.sort(NearestNeighbors(n_neighbors=m).fit(v).kneighbors(v)[0][:, -1])
    radius = float(near[_bend(near)]) if eps is None else eps
    if radius <= 0:
        raise UserError("more than half of the items have copies at distance 0, so eps cannot be found: give --eps.")
    fitted = DBSCAN(eps=radius, min_samples=m).fit(v)
    core = np.zeros(len(v), dtype=bool)
    core[fitted.core_sample_indices_] = True
    labels = fitted.labels_.astype(np.int64)
    return Clusters(_ordered(labels), _kinds(labels, core), distances=(near, radius))


def hdbscan(v: Numbers, min_size: int | None, min_samples: int | None) -> Clusters:
    """Clusters at whatever density each has."""
    from sklearn.cluster import HDBSCAN
    from sklearn.neighbors import NearestNeighbors

    m = _company(v, min_samples)
    size = min_size or max(m, len(v) // 100, 2)
    labels = HDBSCAN(min_cluster_size=size, min_samples=m, copy=True).fit(v).labels_.astype(np.int64)
    near = NearestNeighbors(n_neighbors=m).fit(v).kneighbors(v, return_distance=False)
    core = (labels[near] == labels[:, None]).all(1)
    return Clusters(_ordered(labels), _kinds(labels, core))


def _company(v: Numbers, min_samples: int | None) -> int:
    """m: items within reach, itself counted, that make an item core."""
    return min(len(v), min_samples or max(5, round(math.log(len(v)))))


def elbow(errors: dict[int, float]) -> int:
    """The k at which a falling curve lies farthest below the line between its ends."""
    ks = list(errors)
    return ks[_bend(np.array([errors[k] for k in ks]))]


def silhouette(v: Numbers, labels: Labels, seed: int) -> float | None:
    """The mean silhouette of the items that are in a cluster; None where there are not two."""
    inside = labels != NOISE
    among, apart = _judged(v[inside], seed)
    return _silhouette(apart, labels[inside][among])


def _chosen(v: Numbers, cut: Callable[[int], Labels], k: int | None, most: int, seed: int, **found: Any) -> Clusters:
    """The clusters of k, or of the k with the best silhouette."""
    among, apart = _judged(v, seed)
    scored = {j: _silhouette(apart, cut(j)[among]) for j in range(2, most + 1)}
    silhouettes = {j: score for j, score in scored.items() if score is not None}
    best = k if k is not None else max(silhouettes, key=silhouettes.__getitem__, default=1)
    return Clusters(_ordered(cut(min(best, most))), silhouettes=silhouettes, **found)


def _judged(v: Numbers, seed: int) -> tuple[Labels, Numbers]:
    """Which items silhouettes are measured on, and how far they are apart."""
    from sklearn.metrics import pairwise_distances

    among = np.sort(np.random.default_rng(seed).permutation(len(v))[:JUDGED])
    return among, pairwise_distances(v[among]) if len(among) else np.zeros((0, 0))


def _silhouette(apart: Numbers, labels: Labels) -> float | None:
    from sklearn.metrics import silhouette_score

    if not 2 <= len(np.unique(labels)) < len(labels):
        return None
    return float(silhouette_score(apart, labels, metric="precomputed"))


def _most(v: Numbers, most: int) -> int:
    """The largest k that can be tried: no more than there are different items."""
    different: set[bytes] = set()
    for row in v:
        different.add(row.tobytes())
        if len(different) == most:
            break
    return len(different)


def _error(v: Numbers) -> float:
    return float(np.square(v - v.mean(0)).sum())


def _bend(curve: Numbers) -> int:
    """Where a curve lies farthest below the line between its ends."""
    return int(np.argmax(np.linspace(curve[0], curve[-1], len(curve)) - curve))


def _ordered(labels: Labels) -> Labels:
    """Labels by size, the largest cluster 0; noise stays."""
    names, counts = np.unique(labels[labels != NOISE], return_counts=True)
    place = {int(name): i for i, name in enumerate(names[np.argsort(-counts, kind="stable")])}
    return np.array([place.get(int(label), NOISE) for label in labels], dtype=np.int64)


def _kinds(labels: Labels, core: NDArray[np.bool_]) -> NDArray[np.str_]:
    return np.where(labels == NOISE, "noise", np.where(core, "core", "border"))


def _tree(split_into: dict[int, tuple[int, int]], inside: dict[int, float], leaves: list[int]) -> Numbers | None:
    """Splits from the top as SciPy has joins from the bottom: (a, b, height, leaves), the last split first."""
    if not split_into:
        return None
    number = {name: i for i, name in enumerate(leaves)}
    size: dict[int, int] = dict.fromkeys(leaves, 1)
    rows: list[tuple[float, ...]] = []
    for which in sorted(split_into, key=inside.__getitem__):  # a part has less error than the whole
        a, b = split_into[which]
        number[which], size[which] = len(leaves) + len(rows), size[a] + size[b]
        rows.append((number[a], number[b], inside[which], size[which]))
    return np.array(rows, dtype=np.float64)
