"""Muon: momenta made orthogonal, by its formula; Adam for the rest; saved and taken up again."""

from __future__ import annotations

import io

import pytest
import torch
from torch import nn

from lookalike.training.muon import MOMENTUM, Muon, matrix, orthogonal


@pytest.mark.parametrize("shape", [(12, 12), (12, 40), (40, 12), (9, 300)])
def test_moves_keep_the_singular_vectors_and_lose_the_values(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    u = torch.randn(3, *shape, dtype=torch.float64)
    o = orthogonal(u)
    values = torch.linalg.svdvals(o)
    assert values.min() > 0.65
    assert values.max() < 1.25
    U, _, Vh = torch.linalg.svd(u, full_matrices=False)
    inside = U.mT @ o @ Vh.mT  # in the singular vectors' own coordinates a diagonal
    assert (inside - torch.diag_embed(inside.diagonal(dim1=1, dim2=2))).abs().max() < 1e-9
    assert inside.diagonal(dim1=1, dim2=2).min() > 0.65


def test_matrices_of_a_shape_moved_together_move_as_alone() -> None:
    torch.manual_seed(0)
    u = torch.randn(4, 10, 30)
    alone = torch.cat([orthogonal(one[None]) for one in u])
    torch.testing.assert_close(orthogonal(u), alone, rtol=1e-4, atol=1e-5)


def test_no_gradient_moves_nothing_and_stays_finite() -> None:
    assert orthogonal(torch.zeros(1, 9, 20)).abs().max() == 0


def test_a_step_is_the_formula() -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(10, 12, 3)
    optimiser = Muon(conv.parameters(), 0.01, betas=(0.9, 0.999), weight_decay=0.1, fused=True)
    beside = nn.Conv2d(10, 12, 3)
    beside.load_state_dict(conv.state_dict())
    adam = torch.optim.AdamW([beside.bias], 0.01, betas=(0.9, 0.999), weight_decay=0.1)  # type: ignore[list-item]
    m, w = torch.zeros(12, 90), conv.weight.detach().reshape(12, 90).clone()
    for _ in range(3):
        g = torch.randn(12, 10, 3, 3)
        conv.weight.grad, conv.bias.grad = g.clone(), torch.ones(12)  # type: ignore[union-attr]
        optimiser.step()
        m = MOMENTUM * m + (1 - MOMENTUM) * g.reshape(12, 90)
        u = MOMENTUM * m + (1 - MOMENTUM) * g.reshape(12, 90)
        w = w * (1 - 0.01 * 0.1) - 0.01 * 90**0.5 * orthogonal(u[None])[0]
        beside.bias.grad = torch.ones(12)  # type: ignore[union-attr]
        adam.step()
    torch.testing.assert_close(conv.weight.reshape(12, 90), w, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(conv.bias, beside.bias)


def test_only_what_is_hidden_is_a_matrix() -> None:
    assert matrix(torch.zeros(64, 32, 3, 3)) == (64, 288)
    assert matrix(torch.zeros(64, 1, 3, 3)) == (64, 9)  # nine pixels in
    for shape in [(1, 64), (64, 2), (64,), (), (9, 0)]:  # a logit; points in; biases; no columns
        assert matrix(torch.zeros(shape)) is None


def test_what_is_saved_goes_on_as_if_never_stopped() -> None:
    def network() -> tuple[nn.Module, Muon]:
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(20, 16), nn.Linear(16, 1))
        return net, Muon(net.parameters(), 0.01, betas=(0.9, 0.999), fused=True)

    def train(net: nn.Module, optimiser: Muon, steps: range) -> None:
        for step in steps:
            optimiser.zero_grad()
            net(torch.randn(8, 20, generator=torch.Generator().manual_seed(step))).square().mean().backward()
            optimiser.step()

    whole, one = network()
    train(whole, one, range(6))
    half, two = network()
    train(half, two, range(3))
    saved = io.BytesIO()
    torch.save((half.state_dict(), two.state_dict()), saved)
    saved.seek(0)
    weights, state = torch.load(saved, weights_only=True)
    again, three = network()
    again.load_state_dict(weights)
    three.load_state_dict(state)
    train(again, three, range(3, 6))
    for a, b in zip(whole.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)
