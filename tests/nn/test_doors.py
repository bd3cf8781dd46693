"""The door of a model: what goes in comes out, for every kind of data, with gaps and categories."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lookalike.nn.doors import Door, missing
from lookalike.spec import Column, Spec

MIXED = Spec(
    "table",
    (5,),
    columns=(
        Column("gappy", mean=40.0, std=15.0, missing=True),
        Column("category", ("", "a", "b")),
        Column("only", ("one",)),
        Column("number", mean=-1.0, std=0.01),
        Column("binary", ("no", "yes")),
    ),
)


@given(
    st.lists(
        st.tuples(
            st.one_of(st.just(math.nan), st.floats(-1e4, 1e4)),
            st.integers(0, 2),
            st.just(0),
            st.floats(-10, 10),
            st.integers(0, 1),
        ),
        min_size=1,
        max_size=5,
    )
)
@settings(max_examples=50, deadline=None)
def test_a_table_comes_back(rows):
    x, door = torch.tensor(rows, dtype=torch.float64), Door(MIXED).double()
    h = door.enter(x)
    assert h.isfinite().all()
    assert h.shape == (len(x), *door.shape) == (len(x), 2 + 1 + 3 + 1 + 2)
    torch.testing.assert_close(door.leave(h), x, equal_nan=True)
    torch.testing.assert_close(missing(h, door.fields[1]), x[:, 0].isnan())


@pytest.mark.parametrize("levels", [2, 16, 256])
def test_images_come_back(levels):
    x, door = torch.randint(levels, (3, 2, 4, 5)) / (levels - 1), Door(Spec("images", (2, 4, 5), levels))
    h = door.enter(x)
    assert h.min() >= -1
    assert h.max() <= 1
    torch.testing.assert_close(door.leave(h), x)
    assert door.leave(torch.full((1, 2, 4, 5), 3.0)).max() == 1


def test_dates_keep_their_seconds():
    """A day's spread a long time after 1970: in float32 before the shift, neighbours would be one."""
    start, day = 1.7e9, 86_400.0
    spec = Spec("points", (1,), columns=(Column("date", mean=start + day / 2, std=day / 4),))
    door, x = Door(spec), start + torch.tensor([[0.0], [1.0], [day - 1], [day]], dtype=torch.float64)
    h = door.enter(x)
    assert h.dtype == torch.float32
    assert (door.leave(h) - x).abs().max() < 0.05


def test_a_number_is_standardised_and_its_density_scaled():
    spec = Spec("points", (2,), columns=(Column("a", mean=5, std=2), Column("b", mean=-3, std=0.1)))
    door = Door(spec)
    x = torch.tensor([[7.0, -3.0], [5.0, -2.8]], dtype=torch.float64)
    torch.testing.assert_close(door.enter(x), torch.tensor([[1.0, 0.0], [0.0, 2.0]]))
    slope = door.log_slope(door.enter(x), door.fields)
    torch.testing.assert_close(slope, torch.tensor([[-math.log(2), -math.log(0.1)]]).expand(2, 2))


def test_h_has_the_precision_of_the_weights():
    for spec, x in ((Spec("images", (1, 2, 2), 4), torch.ones(1, 1, 2, 2)), (MIXED, torch.zeros(1, 5).double())):
        door = Door(spec)
        assert door.enter(x).dtype == torch.float32
        assert door.double().enter(x).dtype == torch.float64
        assert not door.state_dict()


BENT = Column("bent", mean=3.0, std=9.0, knots=((-0.5, -2.0), (0.5, 0.5), (3.5, 1.0), (40.5, 2.5)))
COUNTED = Column("counted", mean=3.0, std=9.0, grid=1.0, origin=0.0, knots=BENT.knots)


def test_knots_come_back_and_their_slope_is_autograds():
    spec = Spec("table", (3,), columns=(Column("plain", mean=1.0, std=2.0), BENT, Column("c", ("a", "b"))))
    door = Door(spec).double()
    x = torch.tensor([[1.0, -5.0, 0], [2.0, 0.0, 1], [0.0, 2.2, 0], [3.0, 17.0, 1], [1.0, 900.0, 0]]).double()
    h = door.enter(x)
    torch.testing.assert_close(door.leave(h), x)
    # At and beyond the ends the last pieces go on.
    torch.testing.assert_close(door.enter(torch.tensor([[1.0, 77.5, 0.0]]).double())[0, 1], torch.tensor(4.0).double())
    fields = [field for field in door.fields if field.real]
    slopes = torch.autograd.functional.jacobian(lambda x: door.enter(x).sum(0), x)  # (h, B, x)
    expected = torch.stack([slopes[field.start, :, field.column] for field in fields], 1).log()
    torch.testing.assert_close(door.log_slope(h, fields), expected)
    torch.testing.assert_close(door.log_slope(h, fields[1:]), expected[:, 1:])


def test_what_leaves_lies_on_the_grid_and_in_the_range_that_was_seen():
    door = Door(Spec("table", (1,), columns=(COUNTED,))).double()
    x = torch.arange(41.0, dtype=torch.float64)[:, None]
    torch.testing.assert_close(door.leave(door.enter(x)), x)
    torch.testing.assert_close(door.leave(door.enter(x + 0.4)), x)
    wild = door.leave(torch.tensor([[-30.0], [-2.0], [2.5], [30.0]]).double())
    assert wild[:, 0].tolist() == [0, 0, 40, 40]


def test_a_number_with_knots_may_be_missing():
    spec = Spec("table", (1,), columns=(dataclasses.replace(COUNTED, missing=True),))
    x = torch.tensor([[math.nan], [7.0]], dtype=torch.float64)
    torch.testing.assert_close(Door(spec).leave(Door(spec).enter(x)), x, equal_nan=True)
