"""Probes and the study of sizes: what is plain in a code is found, a linear code is worth what PCA is worth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import lookalike
from lookalike.errors import UserError
from lookalike.tasks.bottleneck import bottleneck
from lookalike.tasks.probe import probe


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> lookalike.Run:
    """A class on one axis of small spread, ten wide axes without meaning, and a code that is the former."""
    folder = tmp_path_factory.mktemp("plain")
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 900)
    x = np.concatenate([(y - 0.5 + 0.1 * rng.normal(size=900))[:, None], 50 * rng.normal(size=(900, 10))], axis=1)
    np.savez(folder / "x.npz", x=x, y=y)
    encoder = nn.Linear(11, 1)
    encoder.load_state_dict({"weight": torch.eye(11)[:1], "bias": torch.zeros(1)})
    how = {"steps": 1, "warmup": 0, "lr": 1e-9, "device": "cpu", "encoder": encoder, "latent": 1, "hidden": (4,)}
    return lookalike.train("deep-ae", folder / "x.npz", out=folder / "run", **how)


def test_what_lies_plainly_in_the_code_is_read_off_it(plain, tmp_path):
    report = probe(plain, splits=3, out=tmp_path / "p.csv")
    figures = {name: metric.value for name, metric in report.metrics.items()}
    assert figures["codes_linear"] > 0.99
    assert figures["codes_knn"] > 0.99
    assert figures["data_linear"] > 0.9  # standardised columns: the axis can be found
    assert figures["pca_linear"] < 0.8  # one component says little of it
    rows = (tmp_path / "p.csv").read_text().splitlines()
    assert len(rows) == 4
    columns = [line.split(",")[1] for line in rows[1:]]
    assert figures["codes_linear"] == pytest.approx(np.mean([float(value) for value in columns]))


def test_a_picture_and_what_cannot_be_probed(runs, tmp_path):
    run = runs("linear-ae", "digits", latent=4)
    probe(run, splits=2, labelled=100, judged=50, out=tmp_path / "p.png")
    assert Image.open(tmp_path / "p.png").width > 600
    out = tmp_path / "q.png"
    for run_, words, how in (
        (run, r"exists.*--overwrite", {"out": tmp_path / "p.png"}),
        (run, r"\.png or \.csv", {"out": tmp_path / "p.npz"}),
        (runs("linear-ae", "moons", latent=1), "no labels to read off", {"out": out}),
        (runs("r3", "iris"), "codes need an encoder", {"out": out}),
        (runs("cvae", "digits", latent=2, width=4), "is told the label", {"out": out}),
        (tmp_path / "none", "does not exist", {"out": out}),
    ):
        with pytest.raises(UserError, match=words):
            probe(run_, splits=2, **how)
    assert not out.exists()


@pytest.mark.slow
def test_a_linear_code_is_worth_principal_components_of_its_size(tmp_path):
    how = {"sizes": (1, 3), "steps": 800, "out": tmp_path / "s", "device": "cpu", "batch_size": 128, "lr": 1e-2}
    report = bottleneck("linear-ae", "wine", **how)
    assert [row["ratio"] for row in report.rows] == pytest.approx([1, 1], abs=0.1)
    assert Image.open(tmp_path / "s" / "error.png").width > 600


def test_sizes_are_trained_resumed_and_refused(tmp_path):
    folder = tmp_path / "s"
    how = {"steps": 1, "warmup": 0, "out": folder, "device": "cpu"}
    report = bottleneck("linear-ae", "digits", sizes=(4, 2), **how)
    assert [row["latent"] for row in report.rows] == [2, 4]
    assert report.rows[0]["pca"] > report.rows[1]["pca"]
    with pytest.raises(UserError, match=r"exists.*--resume"):
        bottleneck("linear-ae", "digits", sizes=(2,), **how)
    assert len(bottleneck("linear-ae", "digits", sizes=(2, 8), resume=True, **how).rows) == 2
    assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == ["latent-2", "latent-4", "latent-8"]
    (folder / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match=r"more than such runs \(mine"):
        bottleneck("linear-ae", "digits", overwrite=True, **how)
    assert (folder / "latent-2").exists()
    other = {**how, "out": tmp_path / "t"}
    with pytest.raises(UserError, match="no option latent"):
        bottleneck("pixelcnn", "digits", **other)
    with pytest.raises(UserError, match="no recipe named"):
        bottleneck("nothing", "digits", **other)
    with pytest.raises(UserError, match="no file or folder"):
        bottleneck("linear-ae", "nowhere", **other)
    assert not Path(other["out"]).exists()
