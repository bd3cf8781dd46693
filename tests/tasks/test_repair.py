"""Repair: each way, of each kind of data; what is known stays; bad input in one sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

import lookalike
from lookalike.cli import run as command
from lookalike.errors import UserError
from lookalike.models.implicit.gan.builders import gan
from lookalike.nn.corruption import observe
from lookalike.scores.search import Sight, search
from lookalike.spec import Spec
from lookalike.tasks.colorize import colorize
from lookalike.tasks.deblur import deblur
from lookalike.tasks.denoise import denoise
from lookalike.tasks.inpaint import inpaint
from lookalike.tasks.super_resolve import super_resolve

ALL = ("masking", "box", "salt-pepper", "gaussian", "blur", "shrink2", "shrink4")
TASKS = {"denoise": denoise, "inpaint": inpaint, "super-resolve": super_resolve, "deblur": deblur}


@pytest.fixture(scope="module")
def restorer(runs) -> str:
    return runs("restorer", "digits", width=4, levels=1, corruption=ALL)


@pytest.fixture(scope="module")
def coded(runs) -> str:
    return runs("mlp-vae", "digits", latent=3, hidden=(8,))


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("photos") / "photos"
    folder.mkdir()
    for i in range(12):
        pixels = np.random.default_rng(i).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i:02d}.png")
    return folder


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("table") / "table.csv"
    rows = pd.DataFrame({"size": np.arange(40) % 7 + 0.5, "kind": list("ab") * 20, "mass": np.arange(40) ** 2 % 11})
    rows.to_csv(path, index=False)
    return path


# The search through what is left


def linear_model(shape=(1, 6, 6), latent=3):
    """G(z) = 0.5 + A z in intensities, small enough not to be cut at 0 or 1."""
    spec = Spec("images", shape, levels=256)
    dims = int(np.prod(shape))
    generator = nn.Sequential(nn.Linear(latent, dims), nn.Tanh(), nn.Unflatten(1, shape))
    model = gan(spec, latent=latent, generator=generator, discriminator=nn.Sequential(nn.Flatten(), nn.Linear(dims, 1)))
    nn.init.normal_(generator[0].weight, std=0.2)
    return model.eval()


@pytest.mark.parametrize("name", ["blur", "shrink2", "mask"])
def test_the_code_is_found_through_what_is_left_of_an_image(name):
    model = linear_model()
    truth = model.decode(torch.randn(4, 3)).detach()
    known = (torch.rand(4, 1, 6, 6) > 0.5) if name == "mask" else None
    kind = "masking" if name == "mask" else name
    v = observe(kind, truth, 1.5)
    v = v if known is None else torch.where(known, v, 0.0)
    found = search(model, truth, sight=Sight(lambda x: observe(kind, x, 1.5), v, known), steps=300, prior_weight=0.0)
    torch.testing.assert_close(found.x_hat, truth, atol=2e-3, rtol=0)


def test_outliers_are_borne_where_squares_are_not():
    model = linear_model()
    truth = model.decode(torch.randn(6, 3)).detach()
    spoilt = torch.where(torch.rand(6, 1, 6, 6) < 0.3, 1.0, truth)
    error = {}
    for share in (0.0, 0.3):
        sight = Sight(lambda x: x, spoilt, noise=0.05, outliers=share)
        found = search(model, spoilt, sight=sight, steps=300, prior_weight=0.0, restarts=8)
        error[share] = (found.x_hat - truth).square().mean()
    assert error[0.3] < 0.05 * error[0.0]


def test_the_cost_of_outliers_is_the_mixtures_log_likelihood():
    r = torch.linspace(-0.8, 0.8, 9)
    sight = Sight(lambda x: x, r, noise=0.1, outliers=0.2)
    normal = torch.distributions.Normal(0, 0.1).log_prob(r).exp()
    log_p = (0.8 * normal + 0.2).log()
    expected = 2 * 0.1**2 * (log_p[4] - log_p)
    torch.testing.assert_close(sight.cost(r.square()), expected)


# The commands


@pytest.mark.parametrize("name", TASKS)
def test_each_task_repairs_by_what_was_trained_and_by_search(name, restorer, coded, tmp_path):
    for run, method in ((restorer, "trained"), (coded, "search")):
        out = tmp_path / f"{method}.npz"
        report = TASKS[name](run, n=3, out=out, **({"steps": 2, "method": method} if method == "search" else {}))
        assert report.facts["method"] == method
        assert {"psnr", "ssim", "psnr_before", "ssim_before"} == set(report.metrics)
        saved = np.load(out)
        assert saved["x"].shape == saved["before"].shape == saved["x_hat"].shape == (3, 1, 8, 8)
        assert ((saved["x_hat"] >= 0) & (saved["x_hat"] <= 1)).all()
        if name == "inpaint":
            known = saved["known"]
            assert 0.1 < 1 - known.mean() < 0.4
            np.testing.assert_allclose(saved["x_hat"][known], saved["x"][known], atol=1e-6)


def test_a_fresh_restorer_gives_what_it_was_given(restorer, tmp_path):
    """One step moves next to nothing: noise stays, and a gap is filled from around it."""
    report = denoise(restorer, n=40, noise="gaussian", amount=0.1, out=tmp_path / "a.npz")
    assert report.metrics["psnr"].value == pytest.approx(report.metrics["psnr_before"].value, abs=0.5)
    assert any("trained against gaussian of 0.3" in note for note in report.notes)
    report = inpaint(restorer, n=40, mask="random", out=tmp_path / "b.npz")
    assert report.metrics["psnr"].value > report.metrics["psnr_before"].value + 3


def test_a_model_that_completes_fills_gaps_and_draws_can_be_averaged(coded, tmp_path):
    one = inpaint(coded, n=4, mask="left", out=tmp_path / "1.npz")
    assert one.facts["method"] == "completion"
    inpaint(coded, n=4, mask="left", draws=6, out=tmp_path / "6.npz")
    draw, mean = (np.load(tmp_path / f"{n}.npz") for n in (1, 6))
    assert not draw["known"][..., :4].any()
    assert draw["known"][..., 4:].all()
    assert mean["x_hat"][..., :4].std() < draw["x_hat"][..., :4].std(), "the mean of draws is smoother than one"


def test_a_drawn_mask_says_where_and_is_brought_to_size(restorer, tmp_path, photos):
    drawing = np.zeros((16, 16), np.uint8)
    drawing[4:8, 2:6] = 255
    Image.fromarray(drawing).save(tmp_path / "mask.png")
    np.save(tmp_path / "x.npy", np.random.default_rng(0).integers(0, 17, (3, 8, 8)).astype(np.uint8))
    inpaint(restorer, str(tmp_path / "x.npy"), mask=str(tmp_path / "mask.png"), out=tmp_path / "o.npz")
    known = np.load(tmp_path / "o.npz")["known"]
    expected = np.ones((3, 1, 8, 8), bool)
    expected[..., 2:4, 1:3] = False
    assert (known == expected).all()


def test_pixels_that_are_nan_are_filled(restorer, tmp_path):
    x = np.random.default_rng(0).random((3, 8, 8)).astype(np.float32)
    x[:, 2:5, 3] = np.nan
    np.save(tmp_path / "x.npy", x)
    inpaint(restorer, str(tmp_path / "x.npy"), out=tmp_path / "o.npz")
    saved = np.load(tmp_path / "o.npz")
    assert (saved["known"][:, 0] == ~np.isnan(x)).all()
    assert np.isfinite(saved["x_hat"]).all()


def test_small_and_grey_images_of_ones_own_become_what_the_model_makes(runs, photos, tmp_path):
    run = runs("restorer", str(photos), width=4, levels=1, corruption=("shrink2", "grey"))
    (tmp_path / "small").mkdir()
    (tmp_path / "grey").mkdir()
    for i in range(3):
        Image.fromarray(np.full((4, 4, 3), 40 * i, np.uint8)).save(tmp_path / "small" / f"s{i}.png")
        Image.fromarray(np.full((8, 8), 40 * i, np.uint8)).save(tmp_path / "grey" / f"g{i}.png")
    super_resolve(run, str(tmp_path / "small"), out=tmp_path / "large")
    assert sorted(p.name for p in (tmp_path / "large").iterdir()) == ["s0.png", "s1.png", "s2.png"]
    assert Image.open(tmp_path / "large" / "s1.png").size == (8, 8)
    report = colorize(run, str(tmp_path / "grey"), out=tmp_path / "coloured.png")
    assert report.metrics is None, "the truth is not known"
    assert colorize(run, n=3, out=tmp_path / "own.png").metrics is not None
    assert colorize(run, str(photos), spoil=True, n=3, out=tmp_path / "again.png").metrics is not None


@pytest.mark.parametrize("recipe", ["denoising-ae", "made", "vae"])
def test_empty_cells_of_a_table_are_filled_and_others_stay(recipe, runs, table, tmp_path):
    run = runs(recipe, str(table))
    gaps = pd.read_csv(table).head(6).astype(object)
    gaps.loc[0, "size"] = None
    gaps.loc[2, "kind"] = None
    gaps.drop(columns="mass").to_csv(tmp_path / "gaps.csv", index=False)
    report = inpaint(run, str(tmp_path / "gaps.csv"), out=tmp_path / "filled.csv")
    assert report.facts["n"] == 6
    filled = pd.read_csv(tmp_path / "filled.csv")
    assert list(filled) == ["size", "kind", "mass"]
    assert not filled.isna().any().any()
    there = gaps["size"].notna()
    assert (filled["size"][there] == gaps["size"][there].astype(float)).all()
    assert set(filled["kind"]) <= {"a", "b"}
    assert inpaint(run, n=5, out=tmp_path / "own.csv").metrics["mse"].value >= 0


def test_noise_of_rows_is_taken_out_by_what_was_trained_for_it(runs, table, tmp_path):
    run = runs("denoising-ae", str(table), corruption=("gaussian",), amount=0.5)
    report = denoise(run, n=4, out=tmp_path / "o.csv")
    assert report.facts["amount"] == 0.5
    assert len(pd.read_csv(tmp_path / "o.csv")) == 4


def test_the_command_line_has_them_by_their_names(restorer, tmp_path, capsys):
    assert command(["super-resolve", restorer, "--factor", "2", "-n", "2", "-o", str(tmp_path / "o.png")]) == 0
    assert "psnr" in capsys.readouterr().out
    assert Image.open(tmp_path / "o.png").width > 200
    assert lookalike.super_resolve is not None


BAD = {
    "no such run": (lambda r, c, t: denoise("nowhere"), "nowhere does not exist"),
    "existing output": (lambda r, c, t: denoise(r, out=t / "there.png"), "exists"),
    "unknown ending": (lambda r, c, t: denoise(r, out=t / "o.gif"), "can be written as"),
    "missing data": (lambda r, c, t: denoise(r, "photos/"), "there is no file or folder"),
    "share above 1": (lambda r, c, t: denoise(r, noise="salt-pepper", amount=3.0), "from 0 to 1"),
    "grey model": (lambda r, c, t: colorize(r), "makes images of 1 channels"),
    "no mask file": (lambda r, c, t: inpaint(r, mask="mask.png"), "there is no mask 'mask.png'"),
    "gaps unknown": (lambda r, c, t: inpaint(r, str(t / "x.npy")), "does not say what is missing"),
    "empty mask": (lambda r, c, t: inpaint(r, mask=str(t / "black.png")), "nothing white"),
    "whole mask": (lambda r, c, t: inpaint(r, mask=str(t / "white.png")), "all white"),
    "mask is no picture": (lambda r, c, t: inpaint(r, mask=str(t / "text.png")), "is no mask"),
    "all is NaN": (lambda r, c, t: inpaint(r, str(t / "nan.npy")), "NaN everywhere"),
    "not trained for it": (lambda r, c, t: denoise(c, method="trained"), "cannot undo gaussian by trained"),
    "not completing": (lambda r, c, t: inpaint(r, method="completion"), "cannot undo box by completion"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_said_in_one_sentence(case, restorer, coded, tmp_path):
    (tmp_path / "there.png").write_bytes(b"mine")
    (tmp_path / "text.png").write_text("text")
    for name, value in (("black", 0), ("white", 255)):
        Image.fromarray(np.full((8, 8), value, np.uint8)).save(tmp_path / f"{name}.png")
    np.save(tmp_path / "x.npy", np.random.default_rng(0).random((3, 8, 8)))
    np.save(tmp_path / "nan.npy", np.full((3, 8, 8), np.nan))
    act, says = BAD[case]
    with pytest.raises(UserError, match=says) as refused:
        act(restorer, coded, tmp_path)
    assert "\n" not in str(refused.value)
    assert (tmp_path / "there.png").read_bytes() == b"mine"


def test_a_table_that_is_whole_or_of_other_columns_is_refused(runs, table, tmp_path):
    run = runs("made", str(table))
    with pytest.raises(UserError, match="nothing is missing"):
        inpaint(run, str(table))
    (tmp_path / "other.csv").write_text("p,q\n1,2\n3,4\n")
    with pytest.raises(UserError, match="none of the columns"):
        inpaint(run, str(tmp_path / "other.csv"))
    with pytest.raises(UserError, match="MADE cannot undo gaussian"):
        denoise(run)
    with pytest.raises(UserError, match="rows have no left"):
        inpaint(run, mask="left")
