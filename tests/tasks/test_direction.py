"""Directions in code space: arithmetic against the definition, items named one by one, what comes of a move."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import torch
from PIL import Image

import lookalike
from lookalike.errors import UserError
from lookalike.tasks.direction import _direction, direction


def test_moving_by_one_adds_the_difference_of_the_means(runs, tmp_path):
    run = runs("linear-ae", "digits", latent=5)
    report = direction(run, like=("7",), unlike=("1",), strengths=(0.0, 1.0), n=4, out=tmp_path / "d.npz")
    model, data = lookalike.load(run), lookalike.open_data("digits")
    x, y = data.train.first(len(data.train))
    with torch.no_grad(), np.load(tmp_path / "d.npz") as file:
        z = model.encode(x).double()
        d = z[y == 7].mean(0) - z[y == 1].mean(0)
        np.testing.assert_allclose(file["direction"], d, atol=1e-5)
        z_c = model.encode(torch.from_numpy(file["data"]))
        np.testing.assert_allclose(file["x"][:, 0], model.decode(z_c), atol=1e-5)
        np.testing.assert_allclose(file["x"][:, 1], model.decode(z_c + d.float()), atol=1e-5)
    assert [row["strength"] for row in report.rows] == [0.0, 1.0]


def test_arithmetic_of_single_items(runs, tmp_path):
    run = runs("linear-ae", "digits", latent=5)
    how = {"like": ("@3", "@5"), "unlike": ("@8",), "of": ("@20",), "strengths": (1.0,)}
    direction(run, **how, out=tmp_path / "d.npz")
    x, _ = lookalike.open_data("digits").items.batch(torch.tensor([3, 5, 8, 20]))
    with torch.no_grad(), np.load(tmp_path / "d.npz") as file:
        a, b, c, d = lookalike.load(run).encode(x)
        np.testing.assert_allclose(file["direction"], (a + b) / 2 - c, atol=1e-5)
        np.testing.assert_allclose(file["z"], d[None], atol=1e-5)


def test_the_normal_leaves_alone_what_only_goes_along():
    """An attribute on the first axis; a second one varies widely and leans to one side by chance."""
    rng = np.random.default_rng(0)
    a, b = rng.normal([2, 3], [0.5, 9], (4000, 2)), rng.normal([-2, 0], [0.5, 9], (4000, 2))
    means, normal = _direction(a, b, "means"), _direction(a, b, "logistic")
    assert abs(means[1] / means[0]) > 0.5
    assert abs(normal[1] / normal[0]) < 0.05
    assert normal[0] == pytest.approx(4, rel=0.05)


def test_tables_are_moved_and_written_and_gans_are_searched(runs, tmp_path):
    direction(runs("linear-ae", "wine", latent=3), like=("class_0",), n=3, strengths=(0.0, 2.0), out=tmp_path / "d.csv")
    rows = list(csv.DictReader((tmp_path / "d.csv").open()))
    assert [(row["item"], row["strength"]) for row in rows][:3] == [("0", "0.0"), ("0", "2.0"), ("1", "0.0")]
    gan = runs("r3", "digits", width=4, latent=3)
    direction(gan, like=("1",), unlike=("@4",), n=2, limit=3, method="logistic", out=tmp_path / "d.png")
    assert Image.open(tmp_path / "d.png").width > 300


def test_what_has_no_direction_is_said_in_a_sentence(runs, tmp_path):
    run, out = runs("linear-ae", "digits", latent=5), tmp_path / "d.png"

    def refused(words: str, run: str = run, **how) -> None:
        with pytest.raises(UserError, match=words):
            direction(run, **{"like": ("1",), **how}, out=out)
        assert not out.exists()

    refused("say what items are moved towards", like=())
    refused("no class is named 'one'", like=("one",))
    refused("no item @99999: digits has items @0 to @1796", like=("@99999",))
    refused("no item @x", like=("@x",))
    refused("the one or the other", like=("1", "@4"))
    refused("needs a code", run=runs("pixelcnn", "digits", width=4, layers=1))
    refused("does not exist", run=str(tmp_path / "none"))
    np.save(tmp_path / "x.npy", np.random.default_rng(0).random((30, 8, 8)))
    refused("has no labels", run=runs("linear-ae", str(tmp_path / "x.npy"), latent=2))
    out.write_text("mine")
    with pytest.raises(UserError, match=r"exists.*--overwrite"):
        direction(run, like=("1",), out=out)
