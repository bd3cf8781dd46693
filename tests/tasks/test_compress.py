"""The codec: nothing is lost, it is as small as the model says, and what cannot be read is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import lookalike
from lookalike.errors import UserError
from lookalike.tasks import _codec, _container
from lookalike.tasks.compress import compress
from lookalike.tasks.decompress import decompress

pytest.importorskip("constriction")


def quiet(done: int, total: int) -> None:
    pass


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 30 RGB pictures with folders in it."""
    folder = tmp_path_factory.mktemp("pictures")
    draw = np.random.default_rng(0)
    for i in range(30):
        file = folder / "ab"[i % 2] / f"{i}.png"
        file.parent.mkdir(exist_ok=True)
        Image.fromarray(draw.integers(0, 256, (6, 5, 3), np.uint8)).save(file)
    return folder


@pytest.fixture(scope="module")
def run(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of these pictures with 256 levels, its channels in turn."""
    path = tmp_path_factory.mktemp("runs") / "rgb"
    lookalike.train("pixelcnn", str(pictures), out=path, steps=2, width=6, layers=2, kernel=3, device="cpu")
    return path


@pytest.fixture(scope="module")
def code(run: Path, pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("code") / "pictures.lka"
    compress(run, (str(pictures),), out=path, beside=False)
    return path


def pixels(folder: Path) -> dict[str, np.ndarray]:
    return {str(file.relative_to(folder)): np.asarray(Image.open(file)) for file in sorted(folder.rglob("*.png"))}


def test_what_comes_out_is_what_went_in_and_its_size_is_the_models_own(
    run: Path, pictures: Path, tmp_path: Path
) -> None:
    answer = compress(run, (str(pictures),), out=tmp_path / "p.lka")
    decompress(tmp_path / "p.lka", out=tmp_path / "again")
    before, after = pixels(pictures), pixels(tmp_path / "again")
    assert before.keys() == after.keys()
    assert all((before[name] == after[name]).all() for name in before)
    sizes = {row[""]: row["bytes"] for row in answer.rows}
    assert sizes["of it code"] < 1.01 * sizes["-log2 p(x)"] + 8
    assert sizes["of it code"] > sizes["-log2 p(x)"] - 8
    model = lookalike.load(run)
    x = torch.stack([torch.from_numpy(p.copy()).movedim(2, 0) / 255 for p in before.values()])
    nats = -model.log_prob(x).sum().item()
    assert answer.facts["bits_by_the_model"] == pytest.approx(nats / np.log(2), rel=1e-4)
    assert {"PNG, a file each", "PNG, one sheet"} <= sizes.keys()


@pytest.mark.parametrize("data", ["binary", "levels"])
def test_arrays_and_named_data_come_back_too(data: str, tmp_path: Path) -> None:
    if data == "binary":
        items = (np.random.default_rng(1).random((40, 5, 4)) > 0.5).astype(np.uint8)
        np.save(tmp_path / "x.npy", items)
        name = str(tmp_path / "x.npy")
    else:
        name = "digits"
    path = tmp_path / "r"
    lookalike.train("pixelcnn", name, out=path, steps=1, width=4, layers=1, kernel=3, device="cpu")
    model, test = lookalike.load(path), lookalike.open_data(name).test
    answer = compress(path, (name,), out=tmp_path / "x.lka", beside=False)
    header, content = _container.unpacked(tmp_path / "x.lka")
    k = _codec.way_of(model, path).decode(content, header["n"], quiet)
    x = torch.cat([x for x, _ in test.all()])
    assert (k == (x * (model.spec.levels - 1)).round()).all()
    assert answer.facts["n"] == len(test)


def test_blocks_are_coded_one_after_the_other(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, k = lookalike.load(run), torch.randint(0, 256, (7, 3, 6, 5))
    monkeypatch.setattr(_codec, "BLOCK", 3)
    way = _codec.way_of(model, run)
    assert (way.decode(way.encode(k, quiet).code, 7, quiet) == k).all()


@pytest.mark.parametrize("at", [0, 6, 40, -40, -3])
def test_a_damaged_file_is_refused_wherever_the_damage_is(code: Path, at: int, tmp_path: Path) -> None:
    content = bytearray(code.read_bytes())
    content[at] ^= 1
    (tmp_path / "bad.lka").write_bytes(content)
    with pytest.raises(UserError, match=r"damaged|not written by"):
        decompress(tmp_path / "bad.lka", out=tmp_path / "out")
    (tmp_path / "cut.lka").write_bytes(code.read_bytes()[:-5])
    with pytest.raises(UserError, match="cut short"):
        decompress(tmp_path / "cut.lka", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_another_model_and_another_arithmetic_are_refused(
    code: Path, run: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    lookalike.train("pixelcnn", str(pictures), out=other, seed=1, steps=1, width=6, layers=2, kernel=3, device="cpu")
    with pytest.raises(UserError, match="not the model"):
        decompress(code, out=tmp_path / "out", run=str(other))
    with pytest.raises(UserError, match="--run"):
        decompress(code, out=tmp_path / "out", run=str(tmp_path / "gone"))
    walk = _codec._InOrder._walk  # the same weights, and probabilities that differ in their last bits

    def elsewhere(self, n, choose, known, rows=None):
        return walk(self, n, lambda probs, k: choose(np.nextafter(probs, 1), k), known, rows)

    monkeypatch.setattr(_codec._InOrder, "_walk", elsewhere)
    with pytest.raises(UserError, match="this machine computes"):
        decompress(code, out=tmp_path / "out")


def test_a_file_from_a_stranger_writes_nothing_outside_its_folder(code: Path, run: Path, tmp_path: Path) -> None:
    header, content = _container.unpacked(code)
    evil = {**header, "names": ["../../evil.png", *header["names"][1:]]}
    (tmp_path / "evil.lka").write_bytes(_container.packed(evil, content))
    with pytest.raises(UserError, match="written elsewhere"):
        decompress(tmp_path / "evil.lka", out=tmp_path / "out")


def test_pictures_that_would_lose_something_are_refused(run: Path, pictures: Path, tmp_path: Path) -> None:
    Image.new("RGB", (9, 9)).save(tmp_path / "large.png")
    Image.new("RGBA", (5, 6), (9, 9, 9, 9)).save(tmp_path / "alpha.png")
    (tmp_path / "no.png").write_bytes(b"nothing")
    for name, said in {
        "large": "large.png is 9x9, but the model is for 6x5",
        "alpha": "transparent",
        "no": "cannot be read",
    }.items():
        with pytest.raises(UserError, match=said):
            compress(run, (str(tmp_path / f"{name}.png"),), out=tmp_path / "x.lka")
    with pytest.raises(UserError, match="two pictures are named"):
        compress(run, (str(pictures / "a" / "0.png"), str(pictures / "a" / "0.png")), out=tmp_path / "x.lka")
    assert not (tmp_path / "x.lka").exists()


@pytest.mark.parametrize(
    ("recipe", "binary"), [("vae", False), ("vae", True), ("mlp-vae", True), ("ladder-vae", True)], ids=str
)
def test_a_variational_model_gives_its_bits_back(recipe: str, binary: bool, tmp_path: Path) -> None:
    """The code is no longer than the bound, but for the noise that the first z is decoded from."""
    how = {"binarize": "threshold"} if binary else {}
    lookalike.train(recipe, "digits", out=tmp_path / "r", steps=30, ema=0.0, device="cpu", **how)
    model = lookalike.load(tmp_path / "r")
    k = torch.cat([x for x, _ in lookalike.open_data("digits", **how).test.all()]) * (model.spec.levels - 1)
    way, k = _codec.way_of(model, "r"), k.round().long()[:60]
    code, bits = way.encode(k, quiet)
    assert (way.decode(code, len(k), quiet) == k).all()
    noise = 32 * (model.latent // 2 + 16)
    assert 8 * len(code) - noise < 1.015 * bits + 64
    with torch.no_grad():
        bounds = torch.stack([model.log_prob(k / (model.spec.levels - 1)) for _ in range(20)]).sum(1)
    assert bits < 1.05 * -bounds.mean().item() / np.log(2)


def test_a_model_that_cannot_code_says_which_can(tmp_path: Path) -> None:
    lookalike.train("realnvp", "digits", out=tmp_path / "v", steps=1, device="cpu")
    with pytest.raises(UserError, match="train pixelcnn"):
        compress(tmp_path / "v", ("digits",))
    options = {"steps": 1, "width": 4, "layers": 1, "device": "cpu"}
    lookalike.train("pixelcnn", "digits", out=tmp_path / "c", conditional=True, **options)
    with pytest.raises(UserError, match="with labels"):
        compress(tmp_path / "c", ("digits",))
