"""Arrays, IDX and NumPy files of pictures: what is inferred of them, and what is refused."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from lookalike.data import open_data
from lookalike.data.arrays import stored
from lookalike.errors import UserError

RNG = np.random.default_rng(0)
BYTES = RNG.integers(0, 256, (20, 8, 10), np.uint8)


def all_of(data):
    return data.items.first(1000)[0]


def idx(array: np.ndarray) -> bytes:
    code = {"u1": 0x08, "f4": 0x0D, "i2": 0x0B}[array.dtype.str[1:]]
    head = struct.pack(f">HBB{array.ndim}I", 0, code, array.ndim, *array.shape)
    return head + array.astype(array.dtype.newbyteorder(">")).tobytes()


@pytest.mark.parametrize(
    ("array", "shape"),
    [
        (BYTES, (1, 8, 10)),
        (BYTES[:, None], (1, 8, 10)),
        (BYTES[..., None], (1, 8, 10)),
        (RNG.integers(0, 256, (20, 8, 10, 3), np.uint8), (3, 8, 10)),
        (RNG.integers(0, 256, (20, 3, 8, 10), np.uint8), (3, 8, 10)),
        (RNG.integers(0, 256, (20, 5, 8, 10), np.uint8), (5, 8, 10)),
        (RNG.integers(0, 256, (20, 200, 100, 3), np.uint8), (3, 64, 32)),
    ],
)
def test_the_channels_are_the_smaller_axis(array, shape):
    assert open_data(array).spec.shape == shape


@pytest.mark.parametrize(
    ("array", "levels", "x"),
    [
        (BYTES, 256, BYTES / 255),
        (BYTES.astype(np.int64), 256, BYTES / 255),
        (BYTES.astype(np.float32), 256, BYTES / 255),
        ((BYTES / 255).astype(np.float32), 256, BYTES / 255),
        (BYTES > 128, 2, BYTES > 128),
        ((BYTES > 128).astype(np.float64), 2, BYTES > 128),
        ((BYTES > 128).astype(np.uint8) * 255, 2, BYTES > 128),
        ((BYTES % 17).astype(np.float64), 17, (BYTES % 17) / 16),
        (BYTES.astype(np.uint16) * 257, 256, BYTES / 255),
    ],
)
def test_the_levels_are_found_and_nothing_is_lost(array, levels, x):
    data = open_data(array)
    assert data.spec.levels == levels
    np.testing.assert_allclose(all_of(data)[:, 0].numpy(), x, atol=1e-6)


def test_a_tensor_is_as_good_as_an_array_and_neither_reopens():
    data = open_data(torch.tensor(BYTES / 255, dtype=torch.bfloat16, requires_grad=True))
    assert data.spec.levels == 256
    assert not data.reopens
    assert open_data(torch.from_numpy(BYTES)).fingerprint == open_data(BYTES).fingerprint


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (BYTES / 255 * 2 - 1, r"from -1 to 1.*give \(x \+ 1\) / 2"),
        (BYTES * 1000.5, "pictures are floats in .* scale it first"),
        (BYTES.astype(np.int64) - 300, "goes from -300 .* scale it first"),
        (BYTES.astype(np.int64) * 1000, "goes from 0 to 255000"),
        (np.where(BYTES[0, 0, 0] == BYTES, np.nan, BYTES), "values that are NaN or infinite"),
        (np.where(BYTES == 0, np.inf, BYTES / 2), "values that are NaN or infinite"),
        (BYTES.astype(complex), "dtype complex128"),
        (BYTES.astype(object), "dtype object"),
        (BYTES.astype(str), "dtype <U3"),
        (np.full((20, 8, 8), 7), "the same value 7 in every pixel"),
        (BYTES[:0], "there is nothing in it"),
        (BYTES[:5], "at least 10 pictures in array are needed, but there are only 5"),
        (np.zeros((20, 8, 8, 8)), r"shape \(20, 8, 8, 8\), which is not that of pictures"),
        (np.zeros((20, 1, 8, 8, 8)), "which is not that of pictures"),
        ((BYTES, np.zeros(19)), r"20 pictures but labels of shape \(19,\)"),
        ((BYTES, np.eye(20)), r"labels of shape \(20, 20\)"),
        ([[1, 2], [3]], "this is a list"),
    ],
)
def test_what_makes_no_pictures_is_refused_in_one_sentence(array, words):
    with pytest.raises(UserError, match=words) as error:
        open_data(array)
    assert "\n" not in str(error.value)


def test_labels_are_classes_sorted_by_number_or_word():
    for labels, classes in (
        (np.arange(20) % 3 * 10, ("0", "10", "20")),
        (np.array(["10", "9"] * 10), ("9", "10")),
        (np.array(["b", "a"] * 10), ("a", "b")),
        (torch.arange(20).double() % 2, ("0", "1")),
    ):
        data = open_data((BYTES, labels))
        assert data.spec.classes == classes
        wanted = [str(int(v)) if not isinstance(v, str) else v for v in np.asarray(labels).tolist()]
        assert [classes[i] for i in data.items.y.tolist()] == wanted
    data = open_data((BYTES, np.linspace(0, 1, 20)))
    assert data.items.y is None
    assert any("not whole numbers or words" in note for note in data.notes)


def test_size_and_channels_of_an_array_change_and_are_said():
    data = open_data(RNG.integers(0, 2, (20, 16, 16), np.uint8), size=8, channels=3)
    assert data.spec.shape == (3, 8, 8)
    assert data.spec.levels == 256  # halves of black and white are grey
    assert any("resized from 16x16 to 8x8" in note for note in data.notes)
    red = np.zeros((20, 8, 8, 3), np.uint8)
    red[..., 0] = RNG.integers(0, 256, (20, 8, 8))
    grey = all_of(open_data(red, channels=1))[:, 0].numpy() * 255
    np.testing.assert_allclose(grey, 0.299 * red[..., 0], atol=0.51)
    clear = RNG.integers(0, 256, (20, 8, 8, 4), np.uint8)
    clear[..., 3] = 0
    assert (all_of(open_data(clear, channels=3)) == 1).all()
    with pytest.raises(UserError, match="5 channels, which cannot be made 3"):
        open_data(RNG.integers(0, 256, (20, 5, 8, 10), np.uint8), channels=3)


def test_stored_array_is_not_a_view_of_the_users():
    mine = BYTES.copy()
    data = open_data(mine)
    before = all_of(data).clone()
    mine[:] = 0
    assert torch.equal(all_of(data), before)


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_idx_with_labels_beside_it(tmp_path: Path, ending):
    pack = gzip.compress if ending else bytes
    path = tmp_path / f"train-images-idx3-ubyte{ending}"
    path.write_bytes(pack(idx(BYTES)))
    (tmp_path / f"train-labels-idx1-ubyte{ending}").write_bytes(pack(idx((np.arange(20) % 4).astype(np.uint8))))
    data = open_data(str(path))
    np.testing.assert_allclose(all_of(data)[:, 0].numpy(), BYTES / 255, atol=1e-6)
    assert data.items.y.tolist() == [i % 4 for i in range(20)]
    path.write_bytes(pack(idx(BYTES)[:-5]))
    with pytest.raises(UserError, match=r"should hold 1600 bytes .* cut short"):
        open_data(path)
    path.write_bytes(pack(b"\x00\x01\x08\x03abc"))
    with pytest.raises(UserError, match="not an IDX file"):
        open_data(path)
    path.write_bytes(pack(struct.pack(">HBB3I", 0, 8, 3, 2**30, 2**10, 2**10)))
    with pytest.raises(UserError, match="decompression bomb"):
        open_data(path)
    path.write_bytes(path.read_bytes()[:3])
    with pytest.raises(UserError, match=r"cannot be read|cut short"):
        open_data(path)


def test_numpy_files(tmp_path: Path):
    np.save(tmp_path / "x.npy", BYTES)
    assert open_data(tmp_path / "x.npy").fingerprint == open_data(BYTES).fingerprint
    labels = np.arange(20) % 2
    for names in ({"x": BYTES, "y": labels}, {"images": BYTES, "labels": labels}, {"data": BYTES, "label": labels}):
        np.savez(tmp_path / "x.npz", **names)
        assert open_data(tmp_path / "x.npz").fingerprint == open_data((BYTES, labels)).fingerprint
    np.savez_compressed(tmp_path / "x.npz", BYTES)
    assert len(open_data(tmp_path / "x.npz").items) == 20
    np.savez(tmp_path / "rows.npz", x=RNG.standard_normal((30, 4)), y=np.arange(30) % 3)
    assert open_data(tmp_path / "rows.npz").spec.kind == "table"


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"x": BYTES, "images": BYTES}, "has the arrays x, images; save the items as the one array 'x'"),
        ({"x_train": BYTES, "x_test": BYTES}, "has the arrays x_train, x_test"),
        ({"x": BYTES, "y": BYTES[:3, 0, 0]}, "20 pictures but labels of shape"),
        ({"x": BYTES, "y": np.zeros(20), "label": np.zeros(20)}, "the one array 'y'"),
        ({"x": np.array([{"a": 1}] * 20, dtype=object)}, "pickled objects, which could run code"),
    ],
)
def test_npz_that_is_refused(tmp_path: Path, arrays, words):
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(UserError, match=words):
        open_data(tmp_path / "x.npz")


def test_numpy_files_that_are_damaged(tmp_path: Path):
    np.save(tmp_path / "x.npy", BYTES)
    np.savez(tmp_path / "x.npz", BYTES)
    np.save(tmp_path / "pickled.npy", np.array([{}, 1], dtype=object))
    for name in ("x.npy", "x.npz"):
        path = tmp_path / name
        path.write_bytes(path.read_bytes()[:300])
        with pytest.raises(UserError, match="cannot be read"):
            open_data(path)
    with pytest.raises(UserError, match="pickled objects"):
        open_data(tmp_path / "pickled.npy")


def test_a_read_only_array_is_stored_without_a_warning(recwarn):
    frozen = BYTES.copy()
    frozen.flags.writeable = False
    stored(frozen, "x")
    assert not recwarn.list
