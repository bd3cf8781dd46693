"""Changes of images: their ranges and laws, their gradients, and that strength 0 is no change."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lookalike.nn.augment import AUGMENTATIONS, colour, cutout, translation


def images(B: int = 6, shape: tuple[int, ...] = (3, 9, 16)) -> Tensor:
    torch.manual_seed(0)
    return torch.rand(B, *shape, dtype=torch.float64) * 2 - 1


def moved(h: Tensor, down: int, right: int) -> Tensor:
    """One image moved by a roll, with zeros where the roll came round."""
    h = h.roll((down, right), (1, 2)).clone()
    rows, columns = torch.arange(h.shape[1]) - down, torch.arange(h.shape[2]) - right
    h[:, (rows < 0) | (rows >= h.shape[1])] = 0
    h[:, :, (columns < 0) | (columns >= h.shape[2])] = 0
    return h


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_strength_0_is_no_change(name):
    h = images()
    torch.testing.assert_close(AUGMENTATIONS[name](h, 0.0), h, rtol=0, atol=1e-15)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_gradients_flow_and_an_image_is_changed_by_its_own_pixels_only(name):
    h = images(B=3, shape=(2, 4, 5)).requires_grad_()

    def change(h: Tensor) -> Tensor:
        torch.manual_seed(1)
        return AUGMENTATIONS[name](h, 1.0)

    assert torch.autograd.gradcheck(change, h)
    (gradient,) = torch.autograd.grad(change(h)[1].sum(), h)
    assert (gradient[1] != 0).any()
    assert (gradient[[0, 2]] == 0).all()


def test_a_translation_is_a_roll_with_zeros_and_every_distance_is_as_likely():
    h = images(B=1).expand(900, -1, -1, -1)
    reach = (1, 2)  # an eighth of 9 and of 16, to the nearest
    moves = {(d, r): moved(h[0], d, r) for d in range(-1, 2) for r in range(-2, 3)}
    counts = dict.fromkeys(moves, 0)
    for item in translation(h):
        (found,) = [move for move, image in moves.items() if torch.equal(item, image)]
        counts[found] += 1
    assert len(counts) == (2 * reach[0] + 1) * (2 * reach[1] + 1)
    expected = len(h) / len(counts)
    statistic = sum((n - expected) ** 2 / expected for n in counts.values())
    assert statistic < 36.1  # chi squared of 14 degrees at 0.1 %


def test_cutout_is_one_window_of_half_of_each_side_and_its_middle_is_anywhere():
    h = torch.ones(4000, 2, 9, 16)
    gone = cutout(h) == 0
    assert torch.equal(gone[:, 0], gone[:, 1])
    rows, columns = gone[:, 0].any(2), gone[:, 0].any(1)
    assert torch.equal(gone[:, 0], rows[:, :, None] & columns[:, None])
    for side, size, places in ((rows, 5, 9), (columns, 8, 17)):
        assert ((side.int().diff(dim=1) == 1).sum(1) <= 1).all()  # in one piece
        assert side.sum(1).max() == size
        assert side.sum(1).min() == size - size // 2
        whole = sum(min(side.shape[1], m - size // 2 + size) - max(0, m - size // 2) for m in range(places)) / places
        assert side.sum(1).double().mean().item() == pytest.approx(whole, rel=0.02)


def test_colour_is_affine_in_an_image_with_the_papers_ranges():
    h = images(B=2000, shape=(3, 2, 2))[:1].expand(2000, -1, -1, -1)
    made = colour(h)
    mean, grey = h.mean((1, 2, 3)), h.mean(1, keepdim=True)
    brighter = made.mean((1, 2, 3)) - mean  # saturation and contrast keep the mean
    assert brighter.abs().max() <= 0.5 + 1e-12
    assert abs(brighter.mean()) < 4 * 0.5 / 12**0.5 * 2 / 2000**0.5
    contrast = ((made.mean(1, keepdim=True) - made.mean((1, 2, 3), keepdim=True)).flatten(1)) / (
        grey - mean[:, None, None, None]
    ).flatten(1)
    torch.testing.assert_close(contrast, contrast[:, :1].expand_as(contrast))  # one factor an image
    assert 0.5 <= contrast.min() < 0.51
    assert 1.49 < contrast.max() <= 1.5
    coloured = (made - made.mean(1, keepdim=True)) / (h - grey) / contrast[:, :1, None, None]
    torch.testing.assert_close(coloured, coloured[:, :1, :1, :1].expand_as(coloured))
    assert 0 <= coloured.min() < 0.02
    assert 1.98 < coloured.max() <= 2


def test_the_gradient_of_a_mean_over_changes_is_the_mean_of_the_changes_own():
    """E[D(T(h))] of a linear D is D of E[T(h)]: by translation an average of rolls, known by hand."""
    h = images(B=1, shape=(1, 8, 8)).requires_grad_()
    w = torch.randn(8, 8, dtype=torch.float64)
    many = translation(h.expand(20_000, -1, -1, -1))
    (found,) = torch.autograd.grad((many * w).sum((1, 2, 3)).mean(), h)
    exact = torch.stack([moved(w[None], -d, -r) for d in (-1, 0, 1) for r in (-1, 0, 1)]).mean(0)
    torch.testing.assert_close(found[0], exact, rtol=0, atol=4 * 3 / 20_000**0.5)
