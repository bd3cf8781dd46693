"""Corruptions: their shares, what is linear and its inverse, and what networks are given."""

from __future__ import annotations

import math

import pytest
import torch

from lookalike.errors import UserError
from lookalike.nn.corruption import KINDS, VOID, Corruption, blur, enlarge, fill, lift, observe, shrink
from lookalike.nn.doors import Door
from lookalike.nn.unet import UNet
from lookalike.spec import Column, Spec

IMAGES = Door(Spec("images", (3, 12, 10), levels=256))
ROWS = Door(Spec("table", (3,), columns=(Column("a", missing=True), Column("b", ("x", "y", "z")), Column("c"))))


@pytest.mark.parametrize(("name", "share"), [("masking", 0.3), ("salt-pepper", 0.3), ("box", 0.25)])
def test_the_share_that_was_asked_for_is_changed_and_the_rest_is_as_it_was(name, share):
    h = IMAGES.enter(0.1 + 0.3 * torch.rand(400, 3, 12, 10))
    spoilt = Corruption(IMAGES, (name,), share)(h)
    changed = (spoilt != h).any(1)
    assert changed.float().mean() == pytest.approx(share, abs=0.03)
    values = spoilt.movedim(1, -1)[changed].unique().tolist()
    assert values == ([-1.0, 1.0] if name == "salt-pepper" else [0.0]), "void is 0 at the door, in all channels"


def test_gaussian_noise_has_the_deviation_asked_for_and_blind_amounts_are_up_to_it():
    h = torch.zeros(2000, 3, 12, 10)
    assert (Corruption(IMAGES, ("gaussian",), 0.1)(h) / 2).std() == pytest.approx(0.1, rel=0.02)
    each = (Corruption(IMAGES, ("gaussian",), 0.1, blind=True)(h) / 2).flatten(1).std(1)
    assert each.max() < 0.115
    assert each.mean() == pytest.approx(0.05, rel=0.05)


def test_the_mean_of_clipped_noise_is_its_mean():
    x = torch.tensor([0.0, 0.2, 0.9]).view(3, 1, 1, 1)
    drawn = KINDS["gaussian"].draw(x.expand(3, 1, 300, 300), torch.full((3, 1, 1, 1), 0.3), 0.3)
    torch.testing.assert_close(observe("gaussian", x, 0.3).flatten(), drawn.mean((1, 2, 3)), atol=3e-3, rtol=0)


def test_several_corruptions_share_a_batch_evenly():
    h = IMAGES.enter(torch.rand(30, 3, 12, 10))
    spoilt = Corruption(IMAGES, ("box", "grey", "shrink2"))(h)
    assert (spoilt[:10] == 0).all(1).any()
    grey = spoilt[10:20]
    torch.testing.assert_close(grey, grey[:, :1].expand_as(grey))
    torch.testing.assert_close(shrink(spoilt[20:], 2), shrink(h[20:], 2), atol=0.15, rtol=0)


def test_a_blur_keeps_the_mean_of_what_is_flat_and_has_its_window():
    flat = torch.full((2, 1, 9, 9), 0.3)
    std = torch.tensor([0.5, 2.0]).view(2, 1, 1, 1)
    torch.testing.assert_close(blur(flat, std, 2.0), flat)
    dot = torch.zeros(1, 1, 31, 31)
    dot[..., 15, 15] = 1
    spread = blur(dot, torch.full((1, 1, 1, 1), 2.0), 2.0)[0, 0]
    at = torch.arange(31) - 15.0
    assert (spread.sum(0) * at.square()).sum() == pytest.approx(4.0, rel=0.05)
    assert spread[15, 17] / spread[15, 15] == pytest.approx(math.exp(-0.5), rel=1e-4)


@pytest.mark.parametrize("name", ["blur", "shrink2", "shrink4", "grey"])
def test_what_is_linear_is_linear_and_its_lift_agrees_with_what_was_seen(name):
    x, w = torch.rand(2, 4, 3, 12, 10)
    amount = KINDS[name].amount
    both = observe(name, 0.3 * x + 0.5 * w, amount)
    torch.testing.assert_close(both, 0.3 * observe(name, x, amount) + 0.5 * observe(name, w, amount))
    smooth = blur(x, torch.full((4, 1, 1, 1), 2.0), 2.0)
    v = observe(name, smooth, amount)
    lifted = lift(name, v, (3, 12, 10), amount)
    assert lifted.shape == x.shape
    again = observe(name, lifted, amount)
    assert (again - v).square().mean() < 0.05 * v.var(), "what is given to a network shows what was seen"


def test_correcting_an_enlarged_image_brings_it_nearer_to_what_was_seen():
    x = torch.rand(4, 1, 12, 10)
    v = shrink(x, 2)
    away = [(shrink(enlarge(v, (12, 10), rounds), 2) - v).square().mean() for rounds in (0, 5)]
    assert away[1] < 0.2 * away[0]


def test_void_pixels_are_filled_from_around_them_and_others_stay():
    ramp = torch.linspace(-1, 1, 12).view(1, 1, 12, 1).expand(2, 3, 12, 10).clone()
    void = torch.rand(2, 1, 12, 10) < 0.4
    filled = fill(ramp.masked_fill(void, 0.0), void)
    assert torch.equal(filled[~void.expand_as(filled)], ramp[~void.expand_as(ramp)])
    assert (filled - ramp).abs().mean() < 0.05
    assert fill(torch.zeros(1, 1, 5, 5), torch.ones(1, 1, 5, 5, dtype=torch.bool)).isfinite().all()


def test_cells_of_rows_are_void_whole_with_their_gap_and_categories_stay_under_noise():
    x = torch.tensor([[1.0, 2.0, -1.0]], dtype=torch.float64).repeat(4000, 1)
    h = ROWS.enter(x)  # there, missing, a, x, y, z, c
    spoilt = Corruption(ROWS, ("masking",), 0.3)(h)
    void = spoilt == 0
    for entries in (slice(3, 6), slice(6, 7)):
        gone = void[:, entries].all(1) & ~(h[:, entries] == 0).all(1)
        assert gone.double().mean() == pytest.approx(0.3, abs=0.03)
    assert (void[:, 0] == void[:, 2]).all(), "a number goes with what says whether it is there"
    noisy = Corruption(ROWS, ("gaussian",), 0.5)(h)
    assert torch.equal(noisy[:, [0, 1, 3, 4, 5]], h[:, [0, 1, 3, 4, 5]])
    assert (noisy[:, [2, 6]] - h[:, [2, 6]]).std() == pytest.approx(0.5, rel=0.05)
    hidden = Corruption(ROWS, ("masking",)).hide(h, torch.tensor([[False, True, True]]).expand(4000, 3))
    assert hidden[0].tolist() == [0, 0, 0, 0, 0, 1, h[0, 6].item()]


@pytest.mark.parametrize(
    ("door", "kinds", "amount", "says"),
    [
        (ROWS, ("blur",), None, "blur is a corruption of images"),
        (IMAGES, ("masking",), 1.5, "share, from 0 to 1"),
        (IMAGES, ("gaussian",), -1.0, "at least 0"),
        (IMAGES, (), None, "name at least one corruption"),
    ],
)
def test_what_makes_no_sense_is_refused(door, kinds, amount, says):
    with pytest.raises(UserError, match=says):
        Corruption(door, kinds, amount)


@pytest.mark.parametrize("size", [(8, 8), (25, 25), (9, 13), (4, 6)])
def test_a_unet_keeps_any_size_begins_at_zero_and_sees_all_of_the_image(size):
    net = UNet(2, 1, width=4)
    x = torch.rand(2, 2, *size)
    assert torch.equal(net(x), torch.zeros(2, 1, *size))
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    x.requires_grad_()
    net(x)[0, 0, 0, 0].backward()
    assert (x.grad[0] != 0).all()
    assert (x.grad[1] == 0).all()
    assert VOID == 0.5


@pytest.mark.parametrize("kind", KINDS)
def test_every_corruption_takes_colours_that_lie_innermost(kind):
    h = IMAGES.enter(torch.rand(4, 3, 12, 10))
    torch.manual_seed(0)
    spoilt = Corruption(IMAGES, (kind,))(h)
    torch.manual_seed(0)
    inner = Corruption(IMAGES, (kind,))(h.contiguous(memory_format=torch.channels_last))
    assert spoilt.shape == inner.shape == h.shape
    if kind not in ("gaussian", "blur"):  # which draw noise in the order in memory
        torch.testing.assert_close(inner, spoilt)
