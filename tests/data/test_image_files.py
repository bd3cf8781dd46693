"""Folders and archives of pictures, as a user has them: every mode, every damage, every note."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lookalike.data import Data, open_data
from lookalike.data.files import open_files
from lookalike.data.imagefiles import file_pictures
from lookalike.data.images import default_size, split_pictures
from lookalike.errors import UserError


def noise(i: int, size: tuple[int, int] = (16, 16), mode: str = "RGB") -> Image.Image:
    channels = {"L": (), "RGB": (3,), "RGBA": (4,), "CMYK": (4,)}[mode]
    return Image.fromarray(np.random.default_rng(i).integers(0, 256, (*size, *channels), np.uint8), mode)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for i in range(20):
        noise(i).save(folder / f"{i:02}.png")
    return folder


def everything(data: Data) -> torch.Tensor:
    return torch.cat([split.first(10_000)[0] for split in data.splits.values()])


def said(data: Data) -> str:
    return "\n".join(data.notes)


def test_a_folder_of_pictures_is_its_pixels_exactly(photos):
    data = open_data(str(photos))
    assert data.spec.shape == (3, 16, 16)
    assert data.spec.levels == 256
    assert [len(s) for s in data.splits.values()] == [16, 2, 2]
    assert data.notes == ()
    found = {x.tobytes() for x in (everything(data) * 255).round().to(torch.uint8).numpy()}
    assert found == {np.asarray(noise(i)).transpose(2, 0, 1).tobytes() for i in range(20)}
    assert str(data).endswith("images 16x16, 3 channels, 256 levels; 16 train, 2 valid, 2 test")


def test_items_are_the_files_in_their_order(photos):
    data = open_data(photos)
    assert data.names == tuple(f"{i:02}.png" for i in range(20))
    x, _ = data.items.batch(torch.tensor([7, 3]))
    for item, i in zip(x, (7, 3), strict=True):
        assert (item * 255).round().byte().numpy().tobytes() == np.asarray(noise(i)).transpose(2, 0, 1).tobytes()


def test_what_opened_it_opens_it_again(photos):
    data = open_data(str(photos), size=12, channels=1, binarize="threshold", split=(0.5, 0.25, 0.25), seed=3)
    again = open_data(data.name, **data.options)
    assert again.fingerprint == data.fingerprint
    assert torch.equal(everything(again), everything(data))
    assert data.spec.levels == 2
    assert data.spec.shape == (1, 12, 12)
    assert open_data(str(photos), size=12).fingerprint != data.fingerprint


def test_decoded_when_taken_equals_held_in_memory(photos):
    noise(99, (30, 20)).save(photos / "other.jpg")
    Image.new("L", (16, 16), 7).save(photos / "grey.png")
    held, lazy = (split_pictures(file_pictures(open_files(photos), budget=budget), "photos") for budget in (10**9, 0))
    assert not hasattr(lazy.train.source, "items")
    assert lazy.fingerprint == held.fingerprint
    assert lazy.notes == held.notes
    for workers in (0, 2):
        batches = zip(held.train.batches(4, seed=1), lazy.train.batches(4, seed=1, workers=workers), strict=False)
        for _, ((x, _), (x_lazy, _)) in zip(range(9), batches, strict=False):
            assert torch.equal(x, x_lazy)
    assert torch.equal(held.items.first(22)[0], lazy.items.first(22)[0])


def test_black_and_white_decoded_when_taken_has_two_levels(tmp_path):
    for i in range(10):
        noise(i, mode="L").convert("1").save(tmp_path / f"{i}.png")
    held, lazy = (file_pictures(open_files(tmp_path), budget=budget) for budget in (10**9, 0))
    assert held.levels == lazy.levels == 2
    assert held.shape == lazy.shape == (1, 16, 16)
    assert held.notes == ()
    assert torch.equal(held.source.take(torch.arange(10)), lazy.source.take(torch.arange(10)))


def test_grey_pictures_saved_as_rgb_are_grey(tmp_path):
    for i in range(10):
        noise(i, mode="L").convert("RGB").save(tmp_path / f"{i}.png")
    data = open_data(tmp_path)
    assert data.spec.shape == (1, 16, 16)
    expected = {np.asarray(noise(i, mode="L")).tobytes() for i in range(10)}
    assert {(x * 255).round().byte().numpy().tobytes() for x in everything(data)} == expected


def test_every_mode_is_read_and_said(tmp_path):
    for i in range(10):
        noise(i).save(tmp_path / f"plain{i}.png")
    noise(0, mode="L").convert("1").save(tmp_path / "a-1bit.png")
    noise(0, mode="L").save(tmp_path / "b-grey.PNG")
    noise(0).convert("P").save(tmp_path / "c-palette.png")
    Image.new("RGBA", (16, 16), (255, 0, 0, 0)).save(tmp_path / "d-rgba.png")
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(tmp_path / "e-cmyk.jpg", quality=95)
    Image.fromarray(np.full((16, 16), 65535 // 2, np.uint16)).save(tmp_path / "f-16bit.png")
    noise(0).save(tmp_path / "g-animated.gif", save_all=True, append_images=[noise(1), noise(2)])
    turned = Image.new("RGB", (16, 16), "black")
    turned.paste("white", (0, 0, 16, 8))  # the upper half; orientation 6 turns it to the right one
    exif = Image.Exif()
    exif[0x0112] = 6
    turned.save(tmp_path / "h-rotated.png", exif=exif)
    data = open_data(tmp_path)
    item = dict(zip(data.names, data.items.first(100)[0], strict=True))
    assert (item["d-rgba.png"] == 1).all()  # nothing but transparent: white
    assert item["e-cmyk.jpg"].mean((1, 2)).tolist() == pytest.approx([0.93, 0.05, 0.05], abs=0.1)
    assert item["f-16bit.png"].unique().tolist() == pytest.approx([127 / 255])
    assert item["h-rotated.png"][:, :, 8:].min() == 1
    assert item["h-rotated.png"][:, :, :8].max() == 0
    for words in ("1-bit", "palette", "CMYK", "16 bits", "transparent", "upright", "first frame", "grey"):
        assert words in said(data), words
    assert "1 of 18 pictures are CMYK" in said(data)


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ({(28, 28): 10}, (28, 28)),
        ({(40, 24): 5, (90, 90): 5}, (40, 24)),
        ({(256, 128): 9}, (64, 32)),
        ({(3000, 4000): 9}, (48, 64)),
        ({(i, i + 30): 1 for i in range(30, 41)}, (32, 32)),
        ({(i, i): 1 for i in range(300, 311)}, (64, 64)),
        ({(i, 500): 1 for i in range(1, 4)}, (8, 8)),
    ],
)
def test_the_size_where_none_is_asked_for(sizes, expected):
    from collections import Counter

    assert default_size(Counter(sizes)) == expected


def test_mixed_sizes_are_cropped_to_the_middle_resized_and_counted(photos):
    wide = Image.new("RGB", (64, 32), "black")
    wide.paste("white", (16, 0, 48, 32))
    wide.save(photos / "wide.png")
    data = open_data(photos)
    assert data.spec.shape == (3, 16, 16)
    assert "1 of 21 pictures were resized to 16x16" in said(data)
    assert dict(zip(data.names, data.items.first(21)[0], strict=True))["wide.png"].min() > 0.9  # black edges are gone
    assert open_data(photos, size=(8, 24)).spec.shape == (3, 8, 24)
    assert open_data(photos, size=8).spec.shape == (3, 8, 8)
    assert "turned to grey" in said(open_data(photos, channels=1))


def test_damaged_pictures_are_skipped_counted_and_named(photos):
    for i in range(20, 60):
        noise(i).save(photos / f"{i:02}.png")
    (photos / "cut.png").write_bytes((photos / "00.png").read_bytes()[:400])
    (photos / "words.jpg").write_text("no picture")
    data = open_data(photos)
    assert len(data.items) == 60
    assert "2 of 62 pictures cannot be read and were skipped: cut.png (" in said(data)
    assert "words.jpg (no picture)" in said(data)
    for i in range(2):
        (photos / f"more{i}.png").write_bytes(b"")
    with pytest.raises(UserError, match=r"4 of 64 pictures in .*photos cannot be read, more than 5%.*cut\.png"):
        open_data(photos)


def test_a_decompression_bomb_among_pictures_is_skipped(photos, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 300)
    for i in range(20, 30):
        noise(i).save(photos / f"{i:02}.png")
    Image.new("1", (20, 20)).save(photos / "bomb.png")
    Image.new("1", (200, 200)).save(photos / "larger.png")
    with pytest.warns(Image.DecompressionBombWarning), pytest.raises(UserError, match=r"bomb\.png \(.*20x20 pixels.*"):
        open_data(photos)


def test_folders_are_classes_hidden_files_are_hidden_and_others_ignored(tmp_path):
    for i in range(12):
        for kind in ("dog", "cat", "animals/horse"):
            (tmp_path / kind).mkdir(parents=True, exist_ok=True)
            noise(i).save(tmp_path / kind / f"{i}.png")
    (tmp_path / "__MACOSX").mkdir()
    noise(0).save(tmp_path / "__MACOSX" / "ghost.png")
    (tmp_path / "cat" / ".DS_Store").write_text("x")
    (tmp_path / "cat" / "._1.png").write_text("x")
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    data = open_data(tmp_path)
    assert data.spec.classes == ("animals/horse", "cat", "dog")
    assert len(data.items) == 36
    assert "1 file ignored, as no picture: 1 .txt" in said(data)
    labels = [data.spec.classes[i] for i in data.items.y.tolist()]
    assert labels == [name.rpartition("/")[0] for name in data.names]


def test_metadata_names_the_classes(photos):
    rows = ["file_name,label,age", *(f"{i:02}.png,{i % 2 * 10},{i}" for i in range(18))]
    (photos / "metadata.csv").write_text("\n".join(rows))
    data = open_data(photos)
    assert data.spec.classes == ("0", "10")
    assert data.items.y.tolist() == [i % 2 for i in range(18)]
    assert "2 pictures that metadata.csv does not name were left out" in said(data)
    with pytest.raises(UserError, match=r"has no column 'lable'.*'label'"):
        open_data(photos, label="lable")
    (photos / "metadata.csv").unlink()
    lines = [json.dumps({"file_name": f"{i:02}.png", "kind": "ab"[i % 2]}) for i in range(20)]
    (photos / "metadata.jsonl").write_text("\n".join(lines))
    assert open_data(photos, label="kind").spec.classes == ("a", "b")
    (photos / "metadata.jsonl").write_text("\n".join([*lines, json.dumps({"file_name": "gone.png"})]))
    with pytest.raises(UserError, match=r"names pictures that are not there .1., the first 'gone\.png'"):
        open_data(photos)


@pytest.mark.parametrize("ending", [".zip", ".tar", ".tar.gz", ".tar.xz", ".tar.bz2"])
def test_an_archive_is_the_folder_it_was_made_of(photos, tmp_path, ending):
    path = tmp_path / f"photos{ending}"
    if ending == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for file in photos.iterdir():
                archive.write(file, f"photos/{file.name}")
    else:
        with tarfile.open(path, "w:" + ending.removeprefix(".tar").removeprefix(".")) as archive:
            archive.add(photos, "photos")
    data = open_data(path)
    assert data.spec.classes == ()
    assert data.fingerprint == open_data(photos).fingerprint
    lazy = file_pictures(open_files(path), budget=0)
    assert torch.equal(lazy.source.take(torch.arange(20)), data.items.source.take(torch.arange(20)))


@pytest.mark.parametrize("name", ["../evil.png", "/etc/evil.png", "a/../../evil.png", "C:\\evil.png", "..\\evil.png"])
@pytest.mark.parametrize("ending", [".zip", ".tar"])
def test_an_archive_that_points_outside_is_refused(tmp_path, name, ending):
    path = tmp_path / f"evil{ending}"
    if ending == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(name, b"x")
    else:
        with tarfile.open(path, "w") as archive:
            archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    with pytest.raises(UserError, match="points outside of it"):
        open_data(path)


@pytest.mark.parametrize("ending", [".zip", ".tar.gz"])
def test_an_archive_with_a_bomb_is_refused(tmp_path, monkeypatch, ending):
    monkeypatch.setattr("lookalike.data.files.BOMB_FLOOR", 1000)
    path, zeros = tmp_path / f"bomb{ending}", bytes(3_000_000)
    if ending == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a.png", zeros)
    else:
        with tarfile.open(path, "w:gz") as archive:
            info = tarfile.TarInfo("a.png")
            info.size = len(zeros)
            archive.addfile(info, io.BytesIO(zeros))
    with pytest.raises(UserError, match="decompression bomb"):
        open_data(path)


@pytest.mark.parametrize("ending", [".zip", ".tar.gz", ".tar"])
def test_an_archive_cut_short_is_refused(photos, tmp_path, ending):
    path = tmp_path / f"cut{ending}"
    if ending == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.write(photos / "00.png", "00.png")
    else:
        with tarfile.open(path, "w:gz" if ending == ".tar.gz" else "w") as archive:
            archive.add(photos, "photos")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    with pytest.raises(UserError, match="damaged or cut short"):
        open_data(path)


def test_too_little_to_learn_from(tmp_path):
    with pytest.raises(UserError, match="holds no pictures; pictures end in"):
        open_data(tmp_path)
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(UserError, match=r"holds no pictures, but 1 \.txt"):
        open_data(tmp_path)
    noise(0).save(tmp_path / "one.png")
    for path in (tmp_path, tmp_path / "one.png"):
        with pytest.raises(UserError, match=r"at least 10 pictures in .* are needed, but there is only 1"):
            open_data(path)


def test_new_pictures_fit_the_spec_of_a_trained_model(photos, tmp_path):
    spec = open_data("digits").spec
    data = open_data(photos, like=spec)
    assert data.spec == spec
    x, _ = data.items.first(20)
    assert x.shape == (20, 1, 8, 8)
    torch.testing.assert_close(x * 16, (x * 16).round(), atol=1e-5, rtol=0)
    one = open_data(photos / "00.png", like=spec)
    assert len(one.test) == len(one.items) == 1
    assert torch.equal(one.items.first(1)[0][0], x[0])
    with pytest.raises(UserError, match="the model was trained on points"):
        open_data(photos, like=open_data("moons").spec)
