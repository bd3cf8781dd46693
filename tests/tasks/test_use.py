"""Sample, reconstruct, interpolate and encode, as a user meets them, and the ways between codes."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

import lookalike
from lookalike.errors import UserError
from lookalike.tasks.encode import encode
from lookalike.tasks.interpolate import interpolate, lerp, slerp
from lookalike.tasks.reconstruct import reconstruct
from lookalike.tasks.sample import sample


@pytest.fixture(scope="module")
def vae(runs) -> str:
    return runs("vae", "digits", width=8, latent=3)


@pytest.fixture(scope="module")
def flow(runs) -> str:
    return runs("realnvp", "moons", couplings=2, width=8)


@pytest.fixture(scope="module")
def table(runs, tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("data") / "people.csv"
    rng = np.random.default_rng(0)
    age = [str(a) if a % 5 else "" for a in rng.integers(18, 80, 60)]
    town = rng.choice(["Ulm", "Bern", "Graz"], 60)
    height = rng.normal(1.7, 0.1, 60).round(2)
    pd.DataFrame({"age": age, "town": town, "height": height}).to_csv(path, index=False)
    return runs("vae", str(path), width=8, latent=2)


@pytest.fixture(scope="module")
def conditional(runs) -> str:
    return runs("r3", "digits", width=4, latent=3, condition="concat")


# Sampling


def test_the_same_seed_gives_the_same_items_as_the_model_itself(vae, tmp_path):
    for seed, name in ((5, "more"), (5, "again"), (6, "other")):
        sample(vae, n=7, seed=seed, out=tmp_path / f"{name}.npz")
    more, again, other = (np.load(tmp_path / f"{name}.npz")["x"] for name in ("more", "again", "other"))
    assert more.shape == (7, 1, 8, 8)
    assert more.min() >= 0
    assert more.max() <= 1
    np.testing.assert_array_equal(more, again)
    model = lookalike.load(vae)
    np.testing.assert_array_equal(more, model.sample(7, seed=5).numpy())
    assert (more != other).any()


def test_the_run_that_train_gave_is_as_good_as_the_name_of_its_folder(flow, tmp_path):
    run = lookalike.Run.open(flow)
    named, given = (sample(of, n=3, out=tmp_path / f"{i}.csv").json() for i, of in enumerate((flow, run)))
    assert {**named, "files": []} == {**given, "files": []}
    assert (tmp_path / "0.csv").read_bytes() == (tmp_path / "1.csv").read_bytes()
    answers = [lookalike.evaluate(of, metrics=("nats",)).json() for of in (flow, Path(flow), run)]
    assert answers[0] == answers[1] == answers[2]


def test_a_folder_holds_a_picture_of_each_item(vae, tmp_path):
    sample(vae, n=3, out=tmp_path / "folder", means=False)
    sample(vae, n=3, out=tmp_path / "x.npz")
    names = sorted(path.name for path in (tmp_path / "folder").iterdir())
    assert names == ["0000.png", "0001.png", "0002.png"]
    x = np.load(tmp_path / "x.npz")["x"]
    first = np.asarray(Image.open(tmp_path / "folder" / "0000.png"))
    np.testing.assert_array_equal(first, (x[0, 0] * 255).round())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder", "x.npz"], "nothing is left beside"


def test_a_table_comes_back_in_the_words_of_its_file(table, tmp_path):
    sample(table, n=40, out=tmp_path / "more.csv")
    frame = pd.read_csv(tmp_path / "more.csv")
    assert list(frame.columns) == ["age", "town", "height"]
    assert set(frame["town"].dropna()) <= {"Ulm", "Bern", "Graz"}
    assert (frame["height"].round(2) == frame["height"]).all()
    sample(table, n=40, out=tmp_path / "more.npz")
    saved = np.load(tmp_path / "more.npz")
    assert saved["columns"].tolist() == ["age", "town", "height"]
    np.testing.assert_allclose(saved["x"][:, 2].round(2), frame["height"])


def test_without_a_name_it_goes_into_the_run_folder_and_says_so(table, flow):
    for run, name in ((table, "samples.csv"), (flow, "samples.png")):
        report = sample(run, n=5, overwrite=True)
        assert report.files == [str(Path(run) / name)]
        assert Path(report.files[0]).is_file()
        assert report.json()["files"] == report.files


def test_what_exists_is_kept_unless_the_user_says_otherwise(vae, tmp_path):
    (tmp_path / "x.png").write_text("mine")
    with pytest.raises(UserError, match=r"exists.*--overwrite"):
        sample(vae, n=2, out=tmp_path / "x.png")
    assert (tmp_path / "x.png").read_text() == "mine"
    sample(vae, n=2, out=tmp_path / "x.png", overwrite=True)
    assert Image.open(tmp_path / "x.png").size[0] > 0


def test_a_model_without_a_normal_code_is_not_truncated(table, tmp_path):
    with pytest.raises(UserError, match="no normal code to truncate"):
        sample(table, n=2, out=tmp_path / "x.csv", truncation=1.0)


def test_a_folder_of_other_things_is_never_replaced(vae, tmp_path):
    folder = tmp_path / "folder"
    sample(vae, n=4, out=folder)
    sample(vae, n=2, out=folder, overwrite=True)
    assert len(list(folder.iterdir())) == 2
    (folder / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match=r"thesis\.tex"):
        sample(vae, n=2, out=folder, overwrite=True)
    assert len(list(folder.iterdir())) == 3


@pytest.mark.parametrize("name", ["x.jpg", "x.csv", "dir.d"])
def test_an_ending_that_cannot_be_written_is_refused_with_those_that_can(vae, tmp_path, name):
    with pytest.raises(UserError, match=r"\.png, \.npz or a folder"):
        sample(vae, n=1, out=tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_table_is_no_folder_of_pictures(table, tmp_path):
    with pytest.raises(UserError, match=r"\.csv"):
        sample(table, n=1, out=tmp_path / "folder")


def test_nothing_is_left_where_nothing_can_be_written(vae, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is a file"):
        sample(vae, n=1, out=tmp_path / "file" / "x.png")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_class_can_be_drawn_by_name_or_number_where_labels_were_learnt(conditional, vae, tmp_path):
    sample(conditional, n=4, label="3", out=tmp_path / "three.npz")
    assert np.load(tmp_path / "three.npz")["y"].tolist() == [3] * 4
    sample(conditional, n=12, out=tmp_path / "all.npz")
    assert np.load(tmp_path / "all.npz")["y"].tolist() == [*range(10), 0, 1]
    with pytest.raises(UserError, match="no class is named 'cat'"):
        sample(conditional, label="cat", out=tmp_path / "no.npz")
    with pytest.raises(UserError, match="trained without labels"):
        sample(vae, label="3", out=tmp_path / "no.npz")
    assert not (tmp_path / "no.npz").exists()


def test_a_category_that_a_model_found_itself_can_be_drawn_and_read_off_data(runs, tmp_path):
    found = runs("infogan", "digits", width=4, latent=3)
    sample(found, n=4, label="7", out=tmp_path / "sevens.npz")
    assert np.load(tmp_path / "sevens.npz")["y"].tolist() == [7] * 4
    sample(found, n=12, out=tmp_path / "all.npz")
    assert np.load(tmp_path / "all.npz")["y"].tolist() == [*range(10), 0, 1]
    encode(found, limit=5, out=tmp_path / "codes.npz")
    z = np.load(tmp_path / "codes.npz")["z"]
    assert z.shape == (5, 12)  # ten categories, two numbers
    np.testing.assert_allclose(z[:, :10].sum(1), 1.0, rtol=1e-5)


# Data through the code


def test_reconstructions_are_the_models_own_and_measured_on_what_is_written(vae, tmp_path):
    report = reconstruct(vae, n=9, out=tmp_path / "pairs.npz")
    saved = np.load(tmp_path / "pairs.npz")
    x, x_hat = torch.from_numpy(saved["x"]), torch.from_numpy(saved["x_hat"])
    test, _ = lookalike.open_data("digits").test.thinned(9).first(9)
    torch.testing.assert_close(x, test)
    torch.testing.assert_close(x_hat, lookalike.load(vae).reconstruct(test))
    assert report.metrics["mse"].value == pytest.approx(float((x - x_hat).square().mean()), rel=1e-5)
    assert report.metrics["mse"].protocol["items"] == 9


def test_rows_and_what_is_left_of_them_stand_one_below_the_other(table, tmp_path):
    reconstruct(table, n=5, out=tmp_path / "rows.csv")
    frame = pd.read_csv(tmp_path / "rows.csv")
    assert frame["item"].tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert frame["is"].tolist() == ["data", "reconstruction"] * 5
    assert set(frame["town"].dropna()) <= {"Ulm", "Bern", "Graz"}


def test_codes_are_of_all_items_in_their_own_order(flow, vae, tmp_path):
    encode(flow, out=tmp_path / "z.npz")
    z = np.load(tmp_path / "z.npz")
    data = lookalike.open_data("moons")
    x, _ = data.items.first(100)
    np.testing.assert_allclose(z["z"][:100], lookalike.load(flow).encode(x).detach(), rtol=1e-4, atol=1e-5)
    assert len(z["z"]) == sum(map(len, data.splits.values()))
    assert z["item"].tolist() == list(range(len(z["z"])))
    encode(vae, split="test", limit=7, out=tmp_path / "z.csv")
    frame = pd.read_csv(tmp_path / "z.csv")
    _, y = lookalike.open_data("digits").test.first(7)
    assert list(frame.columns) == ["item", "label", "z0", "z1", "z2"]
    assert frame["label"].tolist() == y.tolist()


def test_codes_of_files_say_which_file(runs, tmp_path):
    folder = tmp_path / "faces"
    folder.mkdir()
    for i in range(12):
        Image.fromarray(np.full((8, 8), i * 20, np.uint8)).save(folder / f"face{i:02d}.png")
    run = runs("conv-ae", str(folder), width=4, latent=2)
    encode(run, out=tmp_path / "z.csv")
    frame = pd.read_csv(tmp_path / "z.csv")
    assert [Path(name).name for name in frame["name"]] == [f"face{i:02d}.png" for i in range(12)]


def test_the_way_begins_and_ends_at_the_reconstructions(flow, tmp_path):
    interpolate(flow, n=3, steps=5, out=tmp_path / "way.npz")
    x = np.load(tmp_path / "way.npz")["x"]
    assert x.shape == (2, 3, 5, 2)
    np.testing.assert_array_equal(x[0][:, [0, -1]], x[1][:, [0, -1]])
    data = {tuple(row) for row in lookalike.open_data("moons").test.first(10**6)[0].float().numpy().round(4)}
    assert {tuple(row) for row in x[:, :, [0, -1]].reshape(-1, 2).astype(np.float32).round(4)} <= data


def test_a_model_without_encoder_goes_between_draws(conditional, vae, table, tmp_path):
    report = interpolate(conditional, n=2, steps=3, out=tmp_path / "way.png")
    assert report.facts["between"] == "draws of the prior"
    assert interpolate(vae, n=2, steps=3, out=tmp_path / "vae.png").facts["between"] == "items of digits"
    interpolate(table, n=2, steps=3, out=tmp_path / "way.csv")
    frame = pd.read_csv(tmp_path / "way.csv")
    assert frame["way"].tolist() == ["straight"] * 6 + ["great circle"] * 6
    assert frame["t"].tolist() == [0, 0.5, 1] * 4


def test_a_model_that_cannot_says_which_can(runs, conditional, tmp_path):
    made = runs("made", "iris", width=8)
    for task in (reconstruct, encode):
        with pytest.raises(UserError, match="needs an encoder, and GAN has none"):
            task(conditional, out=tmp_path / "x.npz")
    with pytest.raises(UserError, match="needs a code, and MADE has none"):
        interpolate(made, out=tmp_path / "x.npz")
    with pytest.raises(UserError, match="cannot be sampled"):
        sample(runs("linear-ae", "digits", latent=2), out=tmp_path / "x.npz")
    assert list(tmp_path.iterdir()) == []


def test_a_picture_drawn_pixel_by_pixel_grows_by_rows_and_ends_as_if_drawn_at_once(runs, tmp_path, monkeypatch):
    run = runs("pixelcnn", "digits", width=4, layers=1, kernel=3)
    sample(run, n=4, out=tmp_path / "whole.npz")
    module = sys.modules["lookalike.tasks.sample"]
    written = []
    monkeypatch.setattr(module, "GROWS_EVERY", 0.0)
    monkeypatch.setattr(module, "write", lambda path, content: (written.append(content), path.write_bytes(content)))
    sample(run, n=4, out=tmp_path / "grown.png")
    assert len(written) == 8 + 1
    assert len(set(written)) > 4
    sample(run, n=4, out=tmp_path / "again.png", overwrite=True)
    assert (tmp_path / "again.png").read_bytes() == (tmp_path / "grown.png").read_bytes() == written[-1]


def test_a_drawing_that_is_stopped_leaves_no_half_picture_and_keeps_one_that_was_there(runs, tmp_path, monkeypatch):
    run = runs("pixelcnn", "digits", width=4, layers=1, kernel=3)
    module = sys.modules["lookalike.tasks.sample"]
    monkeypatch.setattr(module, "GROWS_EVERY", 0.0)
    (tmp_path / "old.png").write_bytes(b"old")

    def stop(content):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "counter", lambda what: lambda done, total: done > total // 2 and stop(done))
    for name, overwrite in (("new.png", False), ("old.png", True)):
        with pytest.raises(KeyboardInterrupt):
            sample(run, n=4, out=tmp_path / name, overwrite=overwrite)
    assert [path.name for path in tmp_path.iterdir()] == ["old.png"]
    assert (tmp_path / "old.png").read_bytes() == b"old"


# The ways between codes

ENDS = hnp.arrays(np.float64, (4, 5), elements=st.floats(-10, 10, allow_subnormal=False))
T = torch.linspace(0, 1, 7, dtype=torch.float64)


@given(ENDS, ENDS)
def test_both_ways_begin_and_end_exactly_at_the_ends(a, b):
    a, b = torch.from_numpy(a), torch.from_numpy(b)
    for way in (lerp, slerp):
        z = way(a, b, T)
        assert z.shape == (4, 7, 5)
        assert torch.equal(z[:, 0], a)
        assert torch.equal(z[:, -1], b)
        assert z.isfinite().all()


@given(ENDS, ENDS)
def test_a_great_circle_keeps_the_length_between_ends_of_equal_length(a, b):
    a, b = (torch.nn.functional.normalize(torch.from_numpy(end), dim=1, eps=1e-300) for end in (a, b))
    sound = ((a.norm(dim=1) - 1).abs() < 1e-9) & ((b.norm(dim=1) - 1).abs() < 1e-9)
    torch.testing.assert_close(
        slerp(3 * a, 3 * b, T).norm(dim=2)[sound], torch.full((int(sound.sum()), 7), 3.0).double()
    )


def test_a_great_circle_is_the_papers_between_ends_of_equal_length():
    """White (2016): sin((1 - t) omega) / sin(omega) a + sin(t omega) / sin(omega) b."""
    a, b = torch.nn.functional.normalize(torch.randn(2, 6, 4).double(), dim=2)
    omega = (a * b).sum(1).acos()[:, None, None]
    t = T[None, :, None]
    expected = (((1 - t) * omega).sin() * a[:, None] + (t * omega).sin() * b[:, None]) / omega.sin()
    torch.testing.assert_close(slerp(a, b, T), expected)


def test_opposite_ends_are_joined_on_a_circle_and_the_origin_by_a_line():
    a = torch.randn(3, 4).double()
    torch.testing.assert_close(slerp(a, -a, T).norm(dim=2), a.norm(dim=1, keepdim=True).expand(3, 7))
    zero = torch.zeros_like(a)
    torch.testing.assert_close(slerp(zero, a, T), lerp(zero, a, T))
    torch.testing.assert_close(slerp(a, zero, T), lerp(a, zero, T))
    assert (slerp(zero, zero, T) == 0).all()
    torch.testing.assert_close(slerp(a, 2 * a, T), lerp(a, 2 * a, T))


# A saved run by itself


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["r3", "aae"])
@pytest.mark.parametrize("kind", ["images", "table"])
def test_drawing_from_a_saved_run_needs_neither_its_data_nor_the_device_it_was_trained_on(recipe, kind, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    if kind == "images":
        for i in range(12):
            Image.fromarray(np.random.default_rng(i).integers(0, 256, (9, 8), np.uint8)).save(data / f"{i:02d}.png")
    else:
        rows = [f"{i * 1.5},{'ab'[i % 2]},{i * i % 11}" for i in range(40)]
        (data / "x.csv").write_text("\n".join(["size,kind,mass", *rows]))
    where = data if kind == "images" else data / "x.csv"
    run = tmp_path / "run"
    lookalike.train(recipe, where, out=run, steps=2, warmup=0, batch_size=8, width=4, latent=3, device="cpu")
    sample(run, n=4, seed=1, out=tmp_path / "before.npz")
    shutil.rmtree(data)
    header = json.loads((run / "run.json").read_text())
    header["environment"]["device"] = "cuda:7"
    (run / "run.json").write_text(json.dumps(header))
    moved = run.rename(tmp_path / "elsewhere")
    sample(moved, n=4, seed=1, out=tmp_path / "after.npz")
    before, after = (np.load(tmp_path / name)["x"] for name in ("before.npz", "after.npz"))
    np.testing.assert_array_equal(before, after)
    assert sample(moved, n=4).files == [str(moved / ("samples.png" if kind == "images" else "samples.csv"))]
    if recipe == "r3":  # whose ways are between draws
        interpolate(moved, n=2, steps=3, out=tmp_path / "way.npz")
