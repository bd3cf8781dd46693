"""anomaly and detect, as a user meets them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import lookalike
from lookalike.errors import UserError
from lookalike.tasks.anomaly import anomaly
from lookalike.tasks.detect import detect


def people(n: int, seed: int) -> pd.DataFrame:
    """Rows whose weight goes with their height, and a town."""
    rng = np.random.default_rng(seed)
    height = rng.normal(170, 10, n).round(1)
    weight = (height - 100 + rng.normal(0, 4, n)).round(1)
    return pd.DataFrame({"height": height, "weight": weight, "town": rng.choice(["Ulm", "Bern", "Graz"], n)})


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("odd")
    people(400, seed=0).to_csv(folder / "people.csv", index=False)
    lookalike.train("vae", str(folder / "people.csv"), out=folder / "run", steps=60, width=16, device="cpu")
    return str(folder / "run")


def test_odd_rows_rank_first_with_the_column_that_is_odd_and_false_alarms_are_as_asked(run, tmp_path):
    new = people(200, seed=1)
    new.loc[7, "weight"] = 210.0
    new.loc[90, "height"] = 90.0
    new.to_csv(tmp_path / "new.csv", index=False)
    report = anomaly(run, str(tmp_path / "new.csv"), out=tmp_path / "scores.csv", false_alarms=0.05)
    found = pd.read_csv(tmp_path / "scores.csv")
    assert len(found) == 200
    assert set(found["score"].nlargest(2).index) == {7, 90}
    assert "weight" in found["why"][7].split(",")[0]
    assert "height" in found["why"][90].split(",")[0]
    assert (found["odd"] == (found["p"] <= 0.05)).all()
    assert found["odd"].sum() <= 0.2 * 200
    assert [row["item"] for row in report.json()["rows"]][:2] == found["score"].nlargest(2).index.tolist()
    assert report.json()["flagged"] == found["odd"].sum()


def test_a_share_of_the_items_can_be_flagged_and_single_scores_asked_for(run, tmp_path):
    people(50, seed=2).to_csv(tmp_path / "new.csv", index=False)
    out = tmp_path / "s.csv"
    anomaly(run, str(tmp_path / "new.csv"), score=("likelihood",), contamination=0.1, out=out)
    found = pd.read_csv(out)
    assert found["odd"].sum() == 5
    assert found.loc[found["odd"] == 1, "likelihood"].min() >= found.loc[found["odd"] == 0, "likelihood"].max()
    assert "neighbours" not in found
    report = anomaly(run, str(tmp_path / "new.csv"), out=tmp_path / "t.csv")
    assert any("no p is below 0.024" in note and "--false-alarms 0.03" in note for note in report.notes)


def test_detect_trains_scores_and_keeps_the_run_for_new_rows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frame = people(120, seed=3)
    frame.loc[11, "weight"] = 250.0
    frame.to_csv("table.csv", index=False)
    report = detect("table.csv", out=Path("scores.csv"), steps=20, device="cpu")
    found = pd.read_csv("scores.csv")
    assert found["score"].idxmax() == 11
    assert len(found) == 120
    assert report.json()["run"] == "runs/detect-table"
    anomaly("runs/detect-table", "table.csv", out=Path("again.csv"))
    assert pd.read_csv("again.csv")["score"].idxmax() == 11
    with pytest.raises(UserError, match="exists"):
        detect("table.csv", out=Path("other.csv"), steps=20)
    assert not Path("other.csv").exists()


def test_pictures_are_scored_with_their_names(tmp_path):
    out = tmp_path / "run"
    lookalike.train("conv-ae", "digits", out=out, steps=2, width=4, latent=3, device="cpu")
    report = anomaly(out, out=tmp_path / "s.csv")
    found = pd.read_csv(tmp_path / "s.csv")
    assert len(found) == 180
    assert found["label"].nunique() == 10
    assert "surface" in report.json()["scores"]


def test_what_cannot_be_is_said(run, tmp_path):
    with pytest.raises(UserError, match=r"no score 'likelyhood'. Did you mean 'likelihood'\?"):
        anomaly(run, score=("likelyhood",), out=tmp_path / "s.csv")
    with pytest.raises(UserError, match="VAE has no discriminator"):
        anomaly(run, score=("critic",), out=tmp_path / "s.csv")
    (tmp_path / "old.csv").write_text("kept")
    with pytest.raises(UserError, match=r"old.csv exists"):
        anomaly(run, out=tmp_path / "old.csv")
    with pytest.raises(UserError, match=r"can be written as .csv"):
        anomaly(run, out=tmp_path / "s.png")
    assert (tmp_path / "old.csv").read_text() == "kept"
    assert [path.name for path in tmp_path.iterdir()] == ["old.csv"]


def test_words_and_constants_never_seen_are_odd_and_said(run, tmp_path):
    new = people(100, seed=4)
    new.loc[3, "town"] = "Atlantis"
    new.to_csv(tmp_path / "new.csv", index=False)
    anomaly(run, str(tmp_path / "new.csv"), out=tmp_path / "s.csv")
    found = pd.read_csv(tmp_path / "s.csv")
    assert found["score"].idxmax() == 3
    assert "town" in found["why"][3].split(",")[0]


def test_a_long_table_is_scored_a_piece_at_a_time_and_alike(run, tmp_path, monkeypatch):
    people(90, seed=5).to_csv(tmp_path / "new.csv", index=False)
    anomaly(run, str(tmp_path / "new.csv"), out=tmp_path / "whole.csv")
    monkeypatch.setattr("lookalike.tasks._pieces.PIECE", 32)
    anomaly(run, str(tmp_path / "new.csv"), out=tmp_path / "pieces.csv")
    with (tmp_path / "new.csv").open() as file:
        monkeypatch.setattr("sys.stdin", file)
        report = anomaly(run, "-", out=tmp_path / "stdin.csv")
    whole, parts, stdin = (pd.read_csv(tmp_path / f"{name}.csv") for name in ("whole", "pieces", "stdin"))
    pd.testing.assert_frame_equal(whole.drop(columns="why"), parts.drop(columns="why"), rtol=1e-4, atol=1e-4)
    pd.testing.assert_frame_equal(parts, stdin)
    assert report.json()["n"] == 90


def test_known_outliers_are_told_from_the_rest(run, tmp_path):
    """What is odd here is common in one column: no distance tells it, examples do."""
    new = people(200, seed=6)
    new["height"] = 158.0
    new["weight"] = (58 + np.random.default_rng(7).normal(0, 0.2, 200)).round(1)
    new[:100].to_csv(tmp_path / "known.csv", index=False)
    mixed = pd.concat([people(200, seed=8), new[100:]])
    mixed.to_csv(tmp_path / "mixed.csv", index=False)
    odd = np.repeat([False, True], [200, 100])

    def right(**how):
        out = tmp_path / f"{len(how)}.csv"
        anomaly(run, str(tmp_path / "mixed.csv"), out=out, **how)
        score = pd.read_csv(out)["score"]
        return (score[odd].to_numpy()[:, None] > score[~odd].to_numpy()).mean()

    assert right(known=str(tmp_path / "known.csv")) > 0.95 > right() + 0.2


def test_a_series_is_scored_through_windows_a_line_a_row(tmp_path):
    t = np.arange(600)
    values = np.sin(t / 5) + 0.05 * np.random.default_rng(0).normal(size=600)
    values[300:306] = 0.9  # no value by itself is odd
    pd.DataFrame({"time": t, "value": values}).to_csv(tmp_path / "s.csv", index=False)
    detect(str(tmp_path / "s.csv"), window=12, run=tmp_path / "run", out=tmp_path / "o.csv", steps=30, device="cpu")
    found = pd.read_csv(tmp_path / "o.csv")
    assert len(found) == 600
    assert 297 <= found["score"].idxmax() <= 308
    assert ((found["p"] > 0) & (found["p"] <= 1)).all()
    anomaly(tmp_path / "run", str(tmp_path / "s.csv"), out=tmp_path / "again.csv")
    np.testing.assert_allclose(pd.read_csv(tmp_path / "again.csv")["score"], found["score"], rtol=1e-4, atol=1e-4)
    with pytest.raises(UserError, match="too few for windows of 200"):
        detect(str(tmp_path / "s.csv"), window=200, run=tmp_path / "r2", out=tmp_path / "p.csv", steps=3)


def test_the_oddest_pictures_are_drawn_beside_their_heat(tmp_path):
    detect("digits", run=tmp_path / "run", out=tmp_path / "s.csv", picture=tmp_path / "heat.png", steps=2, device="cpu")
    with Image.open(tmp_path / "heat.png") as picture:
        colours = np.asarray(picture.convert("RGB")).astype(int)
    assert (colours[..., 0] - colours[..., 2] > 60).any()  # red there is
    with pytest.raises(UserError, match=r"heat.png exists"):
        anomaly(tmp_path / "run", out=tmp_path / "t.csv", picture=tmp_path / "heat.png")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "is empty"),
        ("height,weight,town\n", "no row of data below it"),
        ("height,town\n170,Ulm\n", "has no column named 'weight'"),
        ("height,weight,town\n170,60,Ulm\n170,60\n", "line 3: 2 values where line 1 has 3"),
        ("height,weight,town\n170,,Ulm\n", "without gaps there"),
        ("height,weight,town\n170,heavy,Ulm\n", "must be a number"),
        ("height,weight,town\n170,inf,Ulm\n", "must be finite"),
    ],
)
def test_a_table_that_does_not_fit_is_said_and_nothing_is_written(run, tmp_path, content, why):
    (tmp_path / "new.csv").write_text(content)
    with pytest.raises(UserError, match=why):
        anomaly(run, str(tmp_path / "new.csv"), out=tmp_path / "s.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["new.csv"]


def test_what_is_asked_of_the_wrong_kind_is_said(run, tmp_path):
    (tmp_path / "latin.csv").write_bytes("height,weight,town\n170,60,Z\xfcrich\n".encode("latin-1"))
    with pytest.raises(UserError, match="not UTF-8 text"):
        anomaly(run, str(tmp_path / "latin.csv"), out=tmp_path / "s.csv")
    with pytest.raises(UserError, match="these are rows"):
        anomaly(run, out=tmp_path / "s.csv", picture=tmp_path / "heat.png")
    with pytest.raises(UserError, match="digits holds pictures"):
        anomaly(run, "digits", out=tmp_path / "s.csv")
    with pytest.raises(UserError, match=r"no file or folder .*gone.csv"):
        anomaly(run, known=str(tmp_path / "gone.csv"), out=tmp_path / "s.csv")
    assert not (tmp_path / "s.csv").exists()
