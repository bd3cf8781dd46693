"""The scan over lines against the same recurrence a pixel at a time, and its derivative against autograd's."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lookalike.nn.recurrent import LineLSTM, cell, diagonals, rows

TAPS = {rows: [(-1, -1), (-1, 0), (-1, 1)], diagonals: [(-1, 0), (0, -1)]}


def by_pixel(lstm: LineLSTM, gates: Tensor, order: Tensor, W: int, taps: list[tuple[int, int]]) -> Tensor:
    """As the equations have it, each neighbour looked up by its place in the image."""
    width = gates.shape[-1] // 4
    blank = gates.new_zeros(*gates.shape[:1], gates.shape[2], width)
    h: dict[tuple[int, int], Tensor] = {}
    c: dict[tuple[int, int], Tensor] = {}
    for p, index in enumerate(order.tolist()):
        i, j = divmod(index, W)
        a = gates[:, p]
        for tap, weight in zip(taps, lstm.weight.split(width, dim=1), strict=True):
            a = a + h.get((i + tap[0], j + tap[1]), blank) @ weight
        h[i, j], c[i, j] = cell(a, c.get((i + taps[1][0], j + taps[1][1]), blank))
    return torch.stack([h[divmod(index, W)] for index in order.tolist()], dim=1)


@pytest.mark.parametrize("path_of", [rows, diagonals])
@pytest.mark.parametrize(("H", "W"), [(3, 4), (4, 3), (2, 5), (1, 3), (3, 1)])
def test_lines_at_once_are_pixels_one_by_one_with_their_derivative(path_of, H, W):
    path = path_of(H, W)
    lstm = LineLSTM(3, 2, path).double()
    gates = torch.randn(2, H * W, 2, 12, dtype=torch.float64, requires_grad=True)
    h, expected = lstm(gates), by_pixel(lstm, gates, path.order, W, TAPS[path_of])
    torch.testing.assert_close(h, expected, rtol=0, atol=1e-13)
    weights = torch.randn_like(h)
    for mine, theirs in zip(
        torch.autograd.grad((h * weights).sum(), [gates, lstm.weight]),
        torch.autograd.grad((expected * weights).sum() + 0 * lstm.weight.sum(), [gates, lstm.weight]),
        strict=True,
    ):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-12)


def test_the_scan_keeps_its_digits_under_bf16():
    lstm, gates = LineLSTM(4, 1, diagonals(5, 5)), torch.randn(1, 25, 2, 16)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(lstm(gates), lstm(gates.clone()))
        assert lstm(gates).dtype == torch.float32
        under = lstm(gates)
    assert torch.equal(under, lstm(gates))
