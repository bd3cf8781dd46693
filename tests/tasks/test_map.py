"""Maps of codes: places, pictures, and the manifold of a code of two numbers."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import torch
from PIL import Image

import lookalike
from lookalike.errors import UserError
from lookalike.pictures.groups import SIDE, colour, thumbnails
from lookalike.tasks.map import manifold, map


def test_the_manifold_is_what_the_decoder_makes_of_the_priors_quantiles(runs):
    model = lookalike.load(runs("mlp-vae", "digits", latent=2))
    tiles = manifold(model, np.zeros((5, 2)), 5)
    edge = torch.special.ndtri(torch.tensor(0.98)).item()
    corners = torch.tensor([[-edge, edge], [edge, edge], [-edge, -edge], [edge, -edge]])  # z2 rises upwards
    with torch.no_grad():
        torch.testing.assert_close(tiles[[0, 4, 20, 24]], model.decode(corners))
        torch.testing.assert_close(tiles[12], model.decode(torch.zeros(1, 2))[0])


def test_of_a_model_without_a_prior_it_spans_the_codes(runs):
    model = lookalike.load(runs("linear-ae", "digits", latent=2))
    codes = np.random.default_rng(0).uniform([-3, 10], [5, 20], size=(500, 2))
    low, high = np.quantile(codes, [0.02, 0.98], axis=0)
    first, last = model.decode(torch.tensor(np.array([[low[0], high[1]], [high[0], low[1]]]), dtype=torch.float32))
    tiles = manifold(model, codes, 4)
    torch.testing.assert_close(tiles[0], first)
    torch.testing.assert_close(tiles[-1], last)


def test_a_picture_lies_where_its_code_does():
    at = np.array([[x, y] for x in range(11) for y in range(11)], dtype=float)
    x = torch.zeros(121, 1, 28, 28)
    x[120] = 1  # of the largest x and y: in the upper right corner
    picture = np.asarray(thumbnails(at, x, np.zeros(121, dtype=int)).convert("L"), dtype=float) / 255
    bright = picture > 0.99
    assert bright[: SIDE // 8, -SIDE // 8 :].mean() > 0.1
    assert picture.shape[0] <= SIDE
    assert colour(0) != colour(1)


@pytest.mark.parametrize(
    ("recipe", "data", "latent"), [("mlp-vae", "digits", 2), ("linear-ae", "moons", 2), ("linear-ae", "wine", 3)]
)
def test_any_run_is_drawn_and_its_places_written(recipe, data, latent, runs, tmp_path):
    run = runs(recipe, data, latent=latent)
    map(run, limit=60, out=tmp_path / "map.png")
    assert Image.open(tmp_path / "map.png").width > 500
    report = map(run, limit=60, split="test", out=tmp_path / "map.csv")
    rows = list(csv.DictReader((tmp_path / "map.csv").open()))
    assert len(rows) == report.facts["n"] <= 60
    if latent == 2:  # as they are
        z = lookalike.load(run).encode(lookalike.open_data(data).test.thinned(60).first(60)[0])
        np.testing.assert_allclose([float(row["y"]) for row in rows], z[:, 1].detach().numpy(), rtol=1e-4, atol=1e-5)


def test_data_alone_is_drawn_and_bad_input_refused(runs, tmp_path):
    assert map("iris", limit=40, method="pca", out=tmp_path / "a.png").facts["on"] == "data"
    out = tmp_path / "b.png"
    with pytest.raises(UserError, match="codes need an encoder"):
        map(runs("r3", "iris"), out=out)
    with pytest.raises(UserError, match="no file or folder"):
        map("nowhere.csv", out=out)
    with pytest.raises(UserError, match=r"\.png or \.csv"):
        map("iris", out=tmp_path / "b.jpg")
    with pytest.raises(UserError, match=r"exists.*--overwrite"):
        map("iris", out=tmp_path / "a.png")
    assert not out.exists()
