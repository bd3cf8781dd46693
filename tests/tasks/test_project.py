"""Latent search: codes are found again, each item by itself, by every kind of model with a code."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

import lookalike
from lookalike.errors import UserError
from lookalike.models.implicit.gan.builders import gan
from lookalike.recipe import find
from lookalike.scores.search import search
from lookalike.spec import Column, Spec
from lookalike.tasks.interpolate import interpolate
from lookalike.tasks.project import project

POINTS = Spec("points", (3,), columns=(Column("a", mean=3.0, std=2.0), Column("b"), Column("c")))
LABELLED = Spec("points", (3,), columns=POINTS.columns, classes=("u", "v"))


@pytest.fixture(scope="module")
def drawing(runs) -> str:
    return runs("r3", "digits", width=4, latent=3)


@pytest.fixture(scope="module")
def labelled(runs) -> str:
    return runs("projection", "digits", width=4, latent=3)


# The search itself


def test_of_a_linear_generator_the_code_is_that_of_least_squares():
    """min |A z + b - h|^2 has its minimum at the pseudo-inverse, and nothing is left of what A can make."""
    model = gan(POINTS, latent=2, generator=nn.Linear(2, 3), discriminator=nn.Linear(3, 1)).double().eval()
    x = torch.randn(5, 3, dtype=torch.float64)
    found = search(model, x, steps=250, restarts=2, prior_weight=0.0)
    A, b, h = model.generator.weight, model.generator.bias, model.door.enter(x)
    best = torch.linalg.lstsq(A, (h - b).T).solution.T.detach()
    torch.testing.assert_close(found.z, best, atol=1e-3, rtol=0)
    torch.testing.assert_close(found.error, (best @ A.T + b - h).square().mean(1).detach(), atol=1e-6, rtol=0)
    assert (found.error <= found.start).all()
    torch.testing.assert_close(found.x_hat, model.decode(found.z).detach())


def test_the_prior_term_pulls_codes_to_the_prior_and_its_weight_says_how_far():
    model = gan(POINTS, latent=2, generator=nn.Linear(2, 3), discriminator=nn.Linear(3, 1)).eval()
    x = 20 * torch.randn(4, 3)
    norms = [search(model, x, prior_weight=weight, steps=400).z.norm() for weight in (0.0, 1.0, 1000.0)]
    assert norms[0] > norms[1] > norms[2]
    assert norms[2] < 0.5


def test_items_do_not_depend_on_each_other_nor_on_how_many_are_searched_for_at_once(monkeypatch):
    model = find("r3").resolved("points", {"width": 8, "latent": 3}).model(POINTS).eval()
    x = torch.randn(6, 3)
    together = search(model, x, steps=30)
    alone = search(model, x[2:3], steps=30)
    torch.testing.assert_close(together.z[2:3], alone.z, atol=1e-3, rtol=0)
    monkeypatch.setattr("lookalike.scores.search.NUMBERS_AT_ONCE", 24)
    torch.testing.assert_close(search(model, x, steps=30).z, together.z, atol=1e-3, rtol=0)


@pytest.mark.parametrize("name", ["r3", "aae", "vae", "realnvp", "deep-ae"])
def test_more_search_is_never_further_and_an_encoder_is_a_start(name):
    model = find(name).resolved("points").model(POINTS).eval()
    x = torch.randn(8, 3)
    few, many = (search(model, x, steps=steps, prior_weight=0.0) for steps in (0, 40))
    assert (many.error <= few.error + 1e-6).all()
    torch.testing.assert_close(few.error, few.start)
    assert all(p.grad is None for p in model.parameters()), "the search leaves no gradient in the model"
    if isinstance(model, lookalike.models.base.Encoder):
        h, h_hat = model.door.enter(x), model.door.enter(model.reconstruct(x))
        assert (few.error <= (h - h_hat).square().mean(1) + 1e-6).all()


def test_what_is_missing_of_a_row_may_be_anything_and_categories_choose_the_start():
    columns = (Column("age", mean=40.0, std=9.0, missing=True), Column("town", ("Bern", "Oslo")), Column("pay"))
    model = find("r3").resolved("table", {"width": 8}).model(Spec("table", (3,), columns=columns)).eval()
    x = torch.tensor([[torch.nan, 0.0, 0.3], [41.0, 1.0, -0.2]], dtype=torch.float64)
    found = search(model, x, steps=20)
    assert found.error.isfinite().all()
    assert (found.error <= found.start).all()


def test_a_label_says_which_items_a_conditional_model_is_searched_for():
    model = find("projection").resolved("points", {"width": 8, "latent": 3}).model(LABELLED).eval()
    x, y = torch.randn(6, 3), torch.tensor([0, 1, 1, 0, 1, 0])
    found = search(model, x, y, steps=20)
    torch.testing.assert_close(found.x_hat, model.decode(found.z, y).detach())
    with pytest.raises(UserError, match="name data with labels"):
        search(model, x)


@pytest.mark.slow
def test_a_gan_finds_again_what_it_has_drawn():
    torch.manual_seed(1)
    model = find("dcgan").resolved("images", {"width": 8, "latent": 4}).model(Spec("images", (1, 8, 8), levels=256))
    for p in model.generator.parameters():
        p.data.mul_(4.0)  # a fresh one draws grey on grey
    x = model.eval().decode(model.prior(6, seed=3)).detach()
    found = search(model, x, steps=300, restarts=6, prior_weight=0.0)
    assert found.error.mean() < 0.05 * x.var(0).mean()


# The command


def test_what_is_found_is_written_with_its_errors_in_every_form(drawing, tmp_path):
    report = project(drawing, n=5, steps=3, prior_weight=0.0, out=tmp_path / "codes.npz")
    saved = np.load(tmp_path / "codes.npz")
    assert saved["z"].shape == (5, 3)
    assert saved["x"].shape == saved["x_hat"].shape == (5, 1, 8, 8)
    np.testing.assert_allclose(saved["error"], ((saved["x"] - saved["x_hat"]) ** 2).mean((1, 2, 3)), rtol=1e-4)
    assert report.metrics["mse"].value == pytest.approx(saved["error"].mean(), rel=1e-5)
    assert report.metrics["mse"].value <= report.metrics["mse_at_start"].value
    assert report.json()["split"] == "test"
    project(drawing, n=5, steps=3, prior_weight=0.0, out=tmp_path / "codes.csv")
    frame = pd.read_csv(tmp_path / "codes.csv")
    assert list(frame.columns) == ["item", "error", "z0", "z1", "z2"]
    np.testing.assert_allclose(frame["error"], saved["error"], rtol=1e-4)
    assert project(drawing, n=5, steps=3).files == [str(Path(drawing) / "projections.png")]


def test_one_picture_will_do(drawing, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "portrait.png")
    report = project(drawing, str(tmp_path / "portrait.png"), steps=2, out=tmp_path / "pair.npz")
    assert report.facts["n"] == 1
    assert report.facts["split"] == "all"
    np.testing.assert_allclose(np.load(tmp_path / "pair.npz")["x"][0, 0], pixels / 255, atol=1 / 16)


def test_the_ways_of_a_gan_go_between_draws_or_between_what_it_finds_for_named_data(drawing, labelled, tmp_path):
    between = interpolate(drawing, n=2, steps=3, out=tmp_path / "draws.npz").facts["between"]
    assert between == "draws of the prior"
    for run in (drawing, labelled):
        path = tmp_path / f"{Path(run).name}.npz"
        assert interpolate(run, "digits", n=2, steps=3, out=path).facts["between"] == "items of digits"
        assert np.load(path)["x"].shape == (2, 2, 3, 1, 8, 8)


def test_what_cannot_be_searched_is_said_in_a_sentence(drawing, labelled, runs, tmp_path):
    out = tmp_path / "pairs.png"
    with pytest.raises(UserError, match="does not exist"):
        project(tmp_path / "no-run", out=out)
    with pytest.raises(UserError, match="needs a code, and MADE has none"):
        project(runs("made", "iris", width=8), out=out)
    with pytest.raises(UserError, match="give data of that kind"):
        project(drawing, "iris", out=out)
    with pytest.raises(UserError, match=r"\.png, \.npz or \.csv"):
        project(drawing, out=tmp_path / "pairs.jpg")
    Image.new("L", (8, 8)).save(tmp_path / "one.png")
    with pytest.raises(UserError, match="name data with labels"):
        project(labelled, str(tmp_path / "one.png"), out=out)
    assert not out.exists()
    out.write_text("mine")
    with pytest.raises(UserError, match=r"exists.*--overwrite"):
        project(drawing, out=out)
    assert out.read_text() == "mine"
