"""The fidelity-diversity curve: which way it goes where the truth is known, what it is of, and what is refused."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import lookalike
from lookalike.errors import UserError
from lookalike.pictures.tradeoff import tradeoff as curve
from lookalike.tasks.tradeoff import tradeoff


@pytest.fixture(scope="module")
def gaussian(tmp_path_factory):
    """A generator that draws just what the data are, x = z ~ N(0, I), and the data."""
    folder = tmp_path_factory.mktemp("gaussian")
    np.save(folder / "x.npy", np.random.default_rng(0).normal(size=(4000, 2)))
    generator = nn.Linear(2, 2)
    generator.load_state_dict({"weight": torch.eye(2), "bias": torch.zeros(2)})
    how = {"steps": 1, "warmup": 0, "lr": 1e-9, "device": "cpu", "generator": generator}
    return lookalike.train("r3", folder / "x.npy", out=folder / "run", **how)


@pytest.fixture(scope="module")
def digits(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("runs") / "gan"
    lookalike.train("projection", "digits", out=path, steps=1, warmup=0, device="cpu", width=4, latent=3)
    return str(path)


def test_nearer_the_middle_draws_are_near_data_and_cover_less(gaussian, tmp_path):
    report = tradeoff(gaussian, values=(0.2, 0.7, 1.5, 4.0), samples=400, out=tmp_path / "curve.json")
    rows = report.rows
    assert [row["truncation"] for row in rows] == [0.2, 0.7, 1.5, 4.0]
    assert all(a["coverage"] < b["coverage"] for a, b in itertools.pairwise(rows))
    assert rows[0]["precision"] > 0.98
    assert rows[0]["recall"] < 0.5 < rows[-1]["recall"]
    # At 4 deviations nothing is cut: density 1 and coverage 1 - 2^-5 are those of the truth.
    assert rows[-1]["density"] == pytest.approx(1, abs=0.15)
    assert rows[-1]["coverage"] == pytest.approx(1 - 2**-5, abs=0.05)
    saved = json.loads((tmp_path / "curve.json").read_text())
    first = saved["points"][0]["density"]
    assert first["value"] == rows[0]["density"]
    assert first["protocol"]["truncation"] == 0.2
    assert first["standard_error"] > 0
    json.dumps(report.json())


def test_temperature_may_be_varied_in_its_place_and_is_for_models_that_cannot_be_truncated(gaussian, tmp_path):
    report = tradeoff(gaussian, over="temperature", values=(1.0, 0.3), samples=300, out=tmp_path / "curve.png")
    assert [row["temperature"] for row in report.rows] == [0.3, 1.0]
    assert report.rows[0]["recall"] < report.rows[1]["recall"]
    assert Image.open(tmp_path / "curve.png").width > 800


def test_a_picture_shows_samples_along_the_curve_by_default_in_the_run_folder(digits):
    report = tradeoff(digits, values=(0.5, 2.0), samples=30, limit=30)
    assert report.files == [str(Path(digits) / "tradeoff.png")]
    assert Image.open(report.files[0]).height > 500


def test_the_curve_is_drawn_where_measures_are_all_alike_or_above_one():
    alike = {name: [(0.0, 0.0)] * 3 for name in ("precision", "recall", "coverage")}
    picture = curve("temperature", [0.1, 0.5, 1.0], {**alike, "density": [(7.5, 0.2), (2.0, 0.1), (1.0, 0.1)]})
    assert picture.width > 1000


def test_what_cannot_be_traded_is_said_in_a_sentence(gaussian, digits, tmp_path):
    out = tmp_path / "curve.png"
    with pytest.raises(UserError, match="does not exist"):
        tradeoff(tmp_path / "no-run", out=out)
    code = lookalike.train("linear-ae", "digits", out=tmp_path / "ae", steps=1, warmup=0, device="cpu", latent=2)
    with pytest.raises(UserError, match=r"cannot be sampled.*Train r3"):
        tradeoff(code, out=out)
    made = lookalike.train("made", "iris", out=tmp_path / "made", steps=1, warmup=0, device="cpu", width=8)
    with pytest.raises(UserError, match="no normal code to truncate"):
        tradeoff(made, over="truncation", out=out)
    with pytest.raises(UserError, match="give data of that kind"):
        tradeoff(digits, "iris", out=out)
    with pytest.raises(UserError, match=r"\.png or \.json"):
        tradeoff(digits, out=tmp_path / "curve.jpg")
    with pytest.raises(UserError, match="at least 6"):
        tradeoff(digits, limit=3, out=out)
    assert not out.exists()
    out.write_text("mine")
    with pytest.raises(UserError, match=r"exists.*--overwrite"):
        tradeoff(digits, out=out)
    assert out.read_text() == "mine"
