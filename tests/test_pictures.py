from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
import torch

from lookalike import pictures
from lookalike.pictures.chart import MODEL
from lookalike.pictures.curves import MOST_PANELS
from lookalike.spec import Column, Spec


def pixels(picture) -> np.ndarray:
    return np.asarray(picture.convert("RGB")).astype(int)


def tile(picture, row: int, column: int, side: int, left: int = 0, top: int = 0) -> np.ndarray:
    """The pixels of one image of a grid of square images with the gap of 2."""
    y, x = top + 2 + row * (side + 2), left + 2 + column * (side + 2)
    return pixels(picture)[y : y + side, x : x + side]


def test_a_grid_holds_each_image_enlarged_in_reading_order():
    x = torch.rand(6, 3, 4, 4)
    picture = pictures.grid(x, columns=3, scale=5)
    for i in range(6):
        expected = (x[i] * 255).round().permute(1, 2, 0).numpy().repeat(5, 0).repeat(5, 1)
        np.testing.assert_array_equal(tile(picture, i // 3, i % 3, 20), expected)
    assert picture.size == (3 * 22 + 2, 2 * 22 + 2)


def test_grey_is_grey_and_other_channels_stand_side_by_side():
    assert (np.ptp(pixels(pictures.grid(torch.rand(2, 1, 8, 8))), axis=2) == 0).all()
    x = torch.rand(1, 2, 4, 4)
    np.testing.assert_array_equal(pictures.to_bytes(x)[0, :, 4:, 0], (x[0, 1] * 255).round().numpy())


def test_small_images_are_enlarged_by_a_whole_factor_and_large_ones_are_not():
    assert pictures.grid(torch.rand(1, 1, 8, 8)).size == (60, 60)
    assert pictures.grid(torch.rand(1, 1, 100, 100)).size == (104, 104)


def test_intensities_out_of_range_or_not_numbers_do_not_wrap_around():
    x = torch.tensor([-1.0, 2.0, float("nan"), 0.5]).view(1, 1, 2, 2)
    assert pictures.to_bytes(x).ravel().tolist() == [0, 255, 0, 128]


def test_labels_take_their_own_room_and_leave_the_images_alone():
    x = torch.zeros(4, 1, 8, 8)
    bare = pictures.grid(x, columns=2)
    named = pictures.grid(x, columns=2, row_labels=["cat", "aeroplane"], column_labels=["0", "1"], title="t")
    assert (pixels(named)[-bare.height :, -bare.width :] == pixels(bare)).all()
    assert (pixels(named)[: -bare.height] < 128).any(), "title and column labels are written above"
    assert (pixels(named)[-bare.height :, : -bare.width] < 128).any(), "row labels are written on the left"


def test_pairs_put_each_reconstruction_below_its_image():
    x = torch.linspace(0, 1, 5).view(5, 1, 1, 1).expand(5, 1, 8, 8)
    picture = pixels(pictures.pairs(x, 1 - x, columns=5))
    column = picture[:, picture.shape[1] - 30]  # through the last image
    assert (column == 255).all(1).sum() > 50
    assert (column == 0).all(1).sum() > 50
    assert np.flatnonzero((column == 0).all(1)).min() > 56, "the dark reconstruction is below the white image"


@pytest.mark.parametrize("kind", ["images", "points", "table"])
def test_show_and_compare_draw_every_kind(kind):
    spec, x = items(kind)
    shown, compared = pictures.show(spec, x, real=x), pictures.compare(spec, x, x)
    for picture in (shown, compared):
        assert picture.width > 100
        assert len(np.unique(pixels(picture).reshape(-1, 3), axis=0)) > 2


def test_the_map_is_brightest_where_the_density_is_highest():
    x = torch.randn(200, 2, dtype=torch.float64) + torch.tensor([3.0, -1.0])
    peak = torch.tensor([4.0, -2.0], dtype=torch.float64)
    asked = []

    def log_density(at):
        asked.append(at)
        return -(at - peak).square().sum(1) * 4

    picture = pictures.points(x, x, log_density)
    at = torch.cat(asked)
    assert (at.min(0).values < x.quantile(0.01, dim=0)).all()
    assert (at.max(0).values > x.quantile(0.99, dim=0)).all()
    # Where the map is: the black of magma's lower end. Its brightest pixel is right of and below the middle.
    whole = pixels(picture)
    right = whole[:, whole.shape[1] // 2 :]
    dark = np.argwhere(right.sum(2) < 30)
    (top, left), (bottom, end) = dark.min(0), dark.max(0)
    inside = right[top:bottom, left:end]
    y, x_ = np.argwhere((inside[..., 0] > 240) & (inside[..., 2] < 230) & (inside[..., 2] > 120)).mean(0)
    assert y > (bottom - top) / 2
    assert x_ > (end - left) / 2


def test_tables_with_gaps_constants_dates_and_a_lone_category_are_drawn():
    spec = Spec(
        "table",
        (5,),
        columns=(
            Column("gaps", missing=True),
            Column("constant", std=0.0, mean=3.0),
            Column("date", date_format="%Y-%m-%d", decimals=0),
            Column("lone", categories=("only",)),
            Column("empty here", missing=True),
        ),
    )
    x = torch.rand(20, 5, dtype=torch.float64)
    x[::3, 0], x[:, 1], x[:, 2], x[:, 3], x[:, 4] = torch.nan, 3.0, x[:, 2] * 1e9, 0, torch.nan
    assert pictures.show(spec, x, x).width > 100
    assert pictures.compare(spec, x, x).width > 100


def test_curves_are_an_element_that_stands_alone_and_takes_the_pages_ink():
    svg = pictures.curves(log())
    root = ET.fromstring(svg)
    assert root.tag.endswith("svg")
    assert "currentColor" in svg
    assert not re.findall(r'(?:href|src)="(?!#)', svg), "nothing from outside"
    texts = [node.text for node in root.iter() if node.tag.endswith("text")]
    assert {"bits per dim", "rate", "train", "valid"} <= set(texts)
    assert "loss" not in texts, "a twin of bits per dim"
    assert "constant" not in texts
    defined = set(re.findall(r' id="([\w-]+)"', svg))
    assert set(re.findall(r'(?:url\(|href=")#([\w-]+)', svg)) <= defined


def test_a_long_log_is_drawn_with_few_points_and_an_empty_one_not_at_all():
    short, long = pictures.curves(log(200)), pictures.curves(log(5_000))
    assert len(long) < 2 * len(short)
    assert pictures.curves([]) == ""
    many = [{"step": i, "seconds": 1.0, "split": "train", **{f"f{j}": i * j for j in range(14)}} for i in range(3)]
    assert pictures.curves(many).count(">step<") == MOST_PANELS


def test_infinite_and_missing_figures_are_left_out_of_the_curves():
    records = [
        {"step": i, "seconds": 0.0, "split": "train", "loss": value}
        for i, value in enumerate([3.0, float("inf"), float("nan"), 2.0])
    ]
    assert "nan" not in pictures.curves(records).lower()


def log(n: int = 200) -> list[dict]:
    records = []
    for i in range(1, n + 1):
        loss = 2.0 / i + 0.3
        records.append({"step": i, "seconds": i / 9, "split": "train", "loss": loss, "bits_per_dim": loss})
        records[-1] |= {"rate": float(i % 7), "constant": 1.0}
        if i % (n // 10) == 0:
            records.append({"step": i, "seconds": i / 9, "split": "valid", "bits_per_dim": loss + 0.1})
    return records


def items(kind: str) -> tuple[Spec, torch.Tensor]:
    if kind == "images":
        return Spec("images", (1, 8, 8), 17), torch.rand(16, 1, 8, 8)
    if kind == "points":
        return Spec("points", (2,), columns=(Column("a"), Column("b"))), torch.randn(50, 2, dtype=torch.float64)
    columns = (Column("age", decimals=0), Column("kind", categories=("cat", "dog", "")))
    x = torch.stack([torch.randn(50) * 10, torch.randint(3, (50,)).float()], dim=1)
    return Spec("table", (2,), columns=columns), x.double()


def test_data_alone_is_drawn_as_data():
    spec = Spec("table", (2,), columns=(Column("a"), Column("b", ("u", "v"))))
    rows = torch.stack([torch.linspace(0, 1, 40), (torch.arange(40) % 2).float()], 1)
    alone, beside = (pixels(pictures.show(spec, x, rows)).reshape(-1, 3) for x in (None, rows))
    model = np.array([int(MODEL[i : i + 2], 16) for i in (1, 3, 5)])
    assert not (abs(alone - model) < 8).all(1).any(), "nothing was made by a model"
    assert (abs(beside - model) < 8).all(1).any()
    points = Spec("points", (2,), columns=(Column("a"), Column("b")))
    assert pictures.show(points, None, rows).size == pictures.show(points, rows).size
