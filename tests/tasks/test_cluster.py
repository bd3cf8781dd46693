"""Clusters against scikit-learn's own, how many are found where that is known, and what is refused."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.cluster.hierarchy import is_valid_linkage
from sklearn.cluster import AgglomerativeClustering, BisectingKMeans
from sklearn.metrics import adjusted_rand_score as agreement

from lookalike.errors import UserError
from lookalike.tasks._clusters import LINKAGES, NOISE, agglomerative, dbscan, divisive, elbow, hdbscan, kmeans
from lookalike.tasks.cluster import cluster

MIDDLES = np.array([[0.0, 0, 0], [12, 0, 0], [0, 12, 0], [0, 0, 12], [12, 12, 12]])
SIZES = (80, 60, 50, 40, 30)


@pytest.fixture(scope="module")
def blobs() -> tuple[np.ndarray, np.ndarray]:
    """Five Gaussians far apart, and which one each point is of."""
    y = np.repeat(np.arange(5), SIZES)
    return MIDDLES[y] + np.random.default_rng(0).normal(size=(sum(SIZES), 3)), y


@pytest.fixture
def table(tmp_path: Path, blobs) -> str:
    x, y = blobs
    path = tmp_path / "blobs.csv"
    lines = [f"{a:.4f},{b:.4f},{c:.4f},{'vwxyz'[k]}" for (a, b, c), k in zip(x, y, strict=True)]
    path.write_text("\n".join(["a,b,c,kind", *lines]))
    return str(path)


@pytest.mark.parametrize("method", ["kmeans", "divisive", *LINKAGES])
def test_blobs_are_found_and_how_many_there_are(method, blobs):
    x, y = blobs
    if method in LINKAGES:
        found = agglomerative(x, None, 10, 0, method)
    else:
        found = {"kmeans": kmeans, "divisive": divisive}[method](x, None, 10, 0)
        assert elbow(found.errors) in (4, 5)
        assert list(found.errors.values()) == sorted(found.errors.values(), reverse=True)
    assert found.k == max(found.silhouettes, key=found.silhouettes.__getitem__) == 5
    assert np.bincount(found.labels).tolist() == list(SIZES)  # 0 is the largest
    assert agreement(y, found.labels) == 1
    assert all(is_valid_linkage(tree) for tree in found.trees.values())


@pytest.mark.parametrize("linkage", LINKAGES)
@pytest.mark.parametrize("k", [2, 4, 9])
def test_labels_are_scikit_learns(linkage, k):
    x = np.random.default_rng(1).normal(size=(120, 4))  # no clusters at all
    theirs = AgglomerativeClustering(k, linkage=linkage).fit_predict(x)
    assert agreement(theirs, agglomerative(x, k, 2, 0, linkage).labels) == 1


def test_divisive_splits_what_the_librarys_bisecting_kmeans_splits():
    middles = np.repeat([0.0, 10, 60, 90, 300], 20)  # whatever is split, there is one best way
    x = np.stack([middles, np.zeros(100)], axis=1) + np.random.default_rng(0).normal(size=(100, 2))
    for k in (2, 3, 4, 5):
        theirs = BisectingKMeans(k, n_init=10, random_state=0).fit_predict(x)
        assert agreement(theirs, divisive(x, k, 5, 0).labels) == 1


def test_core_border_and_noise_are_as_defined(blobs):
    x = np.concatenate([blobs[0], [[30.0, 30, 30], [-30, 0, 0]]])
    eps, m = 1.5, 6
    found = dbscan(x, eps, m)
    near = np.linalg.norm(x[:, None] - x[None], axis=2) <= eps
    core = near.sum(1) >= m
    border = ~core & (near & core).any(1)
    assert (found.kinds == "core").tolist() == core.tolist()
    assert (found.kinds == "border").tolist() == border.tolist()
    assert ((found.labels == NOISE) == ~(core | border)).all()
    assert border.any()
    assert found.labels[-2:].tolist() == [NOISE, NOISE]
    for search in (dbscan(x, None, None), hdbscan(x, None, None)):
        assert search.labels[-2:].tolist() == [NOISE, NOISE]
        inside = search.labels[:-2] != NOISE
        assert search.k == 5
        assert agreement(blobs[1][inside], search.labels[:-2][inside]) == 1
    near_ones = np.random.default_rng(0).normal(size=(400, 2)) + 4 * (np.arange(400) % 2)[:, None]
    assert set(hdbscan(near_ones, None, None).kinds) == {"core", "border", "noise"}


def test_a_file_has_a_line_an_item_and_the_report_says_what_each_cluster_is(table, tmp_path):
    report = cluster(table, label="kind", out=tmp_path / "c.csv")
    assert report.metrics["ari"].value == report.metrics["nmi"].value == 1
    assert [row["mostly"] for row in report.rows] == [f"{k} (100%)" for k in "vwxyz"]
    assert report.rows[1]["unlike the rest in"].startswith("a +")
    rows = list(csv.DictReader((tmp_path / "c.csv").open()))
    assert [row["label"] for row in rows] == [k for k, n in zip("vwxyz", SIZES, strict=True) for _ in range(n)]
    assert {(row["label"], row["cluster"]) for row in rows} == set(zip("vwxyz", "01234", strict=True))
    assert Image.open(tmp_path / "c.png").width > 800


@pytest.mark.parametrize("method", ["divisive", "agglomerative", "dbscan", "hdbscan"])
def test_codes_of_images_and_other_data_through_a_run(method, runs, tmp_path):
    run = runs("linear-ae", "digits", latent=2)
    report = cluster(run, method=method, limit=120, out=tmp_path / "c.csv")
    assert report.facts["on"] == "codes"
    assert Image.open(tmp_path / "c.png").height > 400
    columns = (tmp_path / "c.csv").read_text().partition("\n")[0]
    assert ("kind" in columns) == (method in ("dbscan", "hdbscan"))
    assert cluster(run, on="data", limit=50, split="test", k=3, out=tmp_path / "d.csv").facts["k"] == 3


def test_few_different_items_make_few_clusters(tmp_path):
    x = np.repeat([[0.0, 1.0], [5.0, 2.0], [9.0, 9.0]], 20, axis=0)
    assert kmeans(x, None, 15, 0).k == divisive(x, None, 15, 0).k == 3
    with pytest.raises(UserError, match="give --eps"):
        dbscan(x, None, None)


def test_what_cannot_be_grouped_is_said_in_a_sentence(runs, table, tmp_path):
    out = tmp_path / "c.csv"
    with pytest.raises(UserError, match="no file or folder 'nowhere'"):
        cluster("nowhere", out=out)
    with pytest.raises(UserError, match="not a run folder, so it cannot be asked about 'digits'"):
        cluster(table, "digits", out=out)
    with pytest.raises(UserError, match="codes are a model's"):
        cluster(table, on="codes", out=out)
    with pytest.raises(
        UserError, match=r"codes need an encoder, and Gan has none|codes need an encoder, and GAN has none"
    ):
        cluster(runs("r3", "iris"), out=out)
    with pytest.raises(UserError, match="give data of that kind"):
        cluster(runs("linear-ae", "digits", latent=2), "iris", out=out)
    with pytest.raises(UserError, match="finds by itself how many"):
        cluster(table, method="dbscan", k=3, out=out)
    with pytest.raises(UserError, match="--eps is of dbscan"):
        cluster(table, eps=1.0, out=out)
    with pytest.raises(UserError, match="--min-size is of hdbscan"):
        cluster(table, method="dbscan", min_size=5, out=out)
    with pytest.raises(UserError, match="cannot be put into 40 clusters"):
        cluster(table, k=40, limit=20, out=out)
    with pytest.raises(UserError, match=r"\.csv"):
        cluster(table, out=tmp_path / "c.png")
    assert not out.exists()
    out.with_suffix(".png").write_text("mine")
    with pytest.raises(UserError, match=r"c\.png exists.*--overwrite"):
        cluster(table, out=out)
    assert not out.exists()
