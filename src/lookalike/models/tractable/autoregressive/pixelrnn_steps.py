"""A PixelRNN a pixel at a time, each activation computed once.

    once a row     what the states of the row above say to every pixel of this one, by one product for all layers;
                   the first convolution's rows above; and of a Diagonal BiLSTM the map from the right of the row
                   above, from its last pixel to its first, all layers at once since all their inputs are known
    once a pixel   layer after layer, what the pixel itself and its left neighbour add: one small product, one cell

Where a pixel's channels are drawn one by one, it is computed once for each: a group of its features is right when the
channels before it are drawn, and all of them are at the last.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ....nn.masked import MaskedConv2d, MaskedLinear
from ....nn.recurrent import cell
from .pixelrnn_layers import REACH, DiagonalLayer, RowLayer


class Steps:
    """A `Stepper` for n images.

    Maps of one row have the shape (layers, W, n, features).

    Arguments:
        first, above, layers, head: of the network.
        context: what the layers are told, shape (n, told, H, W) or (n, told, 1, 1).
    """

    def __init__(
        self,
        n: int,
        first: MaskedConv2d,
        above: nn.Conv2d | None,
        layers: Sequence[RowLayer | DiagonalLayer],
        head: nn.Module,
        context: Tensor | None,
    ) -> None:
        self.above, self.layers, self.head, self.context = above, layers, head, context
        self.stream: list[list[Tensor]]
        self.states: list[list[Tensor]]
        self.cells: list[list[Tensor]]
        self.first, self.first_bias = first.weight * first.mask, first.bias
        self.width = width = layers[0].lstm.weight.shape[2] // 4
        states = torch.stack([layer.lstm.weight for layer in layers])  # (layers, directions, taps * width, 4 * width)
        self.enter = [_weight(layer.enter) for layer in layers]
        self.leave = [(layer.leave.bias, _weight(layer.leave)) for layer in layers]
        self.bias = torch.stack([layer.enter.bias for layer in layers])[:, None, None]
        self.zeros = states.new_zeros(n, 2 * width)
        if above is None:
            self.taps = states[:, 0].split(width, dim=1)
            return
        up, left = states[:, 0].split(width, dim=1)
        self.taps = (up,)
        self.enter = [torch.cat([enter, state]) for enter, state in zip(self.enter, left, strict=True)]
        self.up_right, self.from_right = states[:, 1].split(width, dim=1)
        right = [layer.enter_right for layer in layers if isinstance(layer, DiagonalLayer)]
        self.enter_right = torch.stack([enter.weight.T for enter in right])
        self.bias_right = torch.stack([enter.bias for enter in right])[:, None, None]

    def __call__(self, h: Tensor, i: int, j: int, c: int) -> Tensor:
        if j == c == 0:
            self._row(h, i)
        known = min(j, REACH)
        strip = h[:, :, i, j - known : j + 1].flatten(1)
        u = torch.addmm(self.rows_above[j], strip, self.own[known])
        for k, enter in enumerate(self.enter):
            a = torch.addmm(self.told[k][j], torch.cat([u, self._left(k, j)], dim=1), enter)
            state, self.cells[k][j] = cell(a, self._cell_before(k, j))
            self.stream[k][j], self.states[k][j] = u, state
            if self.above is not None:
                state = state + self.down[k][j]
            bias, leave = self.leave[k]
            u = torch.addmm(u + bias, state, leave)
        params: Tensor = self.head(u[:, :, None, None])
        return params[:, :, 0, 0]

    def _left(self, k: int, j: int) -> Tensor:
        """What layer k knows of the left neighbour: its stream (rows) or its state (diagonals)."""
        if self.above is None:
            return self.stream[k][j - 1] if j else self.zeros
        return self.states[k][j - 1] if j else self.zeros[:, : self.width]

    def _cell_before(self, k: int, j: int) -> Tensor:
        """c of the pixel above (rows) or of the left one (diagonals)."""
        if self.above is None:
            return self.cells_above[k][j]
        return self.cells[k][j - 1] if j else self.zeros[:, : self.width]

    def _row(self, h: Tensor, i: int) -> None:
        """All that row i is told before its first pixel."""
        W, L = h.shape[3], len(self.layers)
        if i == 0:
            blank = self.zeros[:, : self.width].expand(L, W, -1, -1)
            states, self.right = blank, blank
            self.cells_above = _lists(blank)
            self.own = [self.first[:, :, REACH, REACH - k : REACH + 1].flatten(1).T for k in range(REACH + 1)]
        else:
            states = _stacked(self.states)
            self.cells_above = self.cells
        told = self.bias + self._said(states, self.taps)
        if self.above is not None:
            self.right = self._from_the_right(h, i) if i else self.right
            self.down = _lists(self.right)
        if (context := self._context(i)) is not None:
            told = told + context[..., : 4 * self.width]
        self.told = _lists(told)
        rows = F.conv2d(_last(h, i, REACH), self.first[:, :, :REACH], self.first_bias)
        self.rows_above = rows[:, :, 0].permute(2, 0, 1).unbind(0)
        self.stream, self.states, self.cells = ([[self.zeros] * W for _ in range(L)] for _ in range(3))

    def _said(self, states: Tensor, taps: tuple[Tensor, ...]) -> Tensor:
        """What the states of a row say to the next, by each tap: the middle one is straight below."""
        half = len(taps) // 2
        padded = F.pad(states, (0, 0, 0, 0, half, half))
        near = [padded[:, k : k + states.shape[1]].flatten(1, 2) @ tap for k, tap in enumerate(taps)]
        return torch.stack(near).sum(0).unflatten(1, states.shape[1:3])

    def _from_the_right(self, h: Tensor, i: int) -> Tensor:
        """The map from the right of row i - 1, of all layers: (layers, W, n, width)."""
        assert self.above is not None
        seen = F.conv2d(_last(h, i, REACH + 1), self.above.weight, self.above.bias)[:, :, 0].permute(2, 0, 1)
        stream = torch.stack([seen, *(torch.stack(row) for row in self.stream[1:])])
        a = (stream.flatten(1, 2) @ self.enter_right).unflatten(1, stream.shape[1:3]) + self.bias_right
        a = a + self._said(self.right, (self.up_right,))
        if (context := self._context(i - 1)) is not None:
            a = a + context[..., 4 * self.width :]
        state = c = torch.zeros_like(self.right[:, 0])
        states = []
        for a_j in reversed(a.unbind(1)):
            state, c = cell(torch.baddbmm(a_j, state, self.from_right), c)
            states.append(state)
        return torch.stack(states[::-1], dim=1)

    def _context(self, i: int) -> Tensor | None:
        """What the layers are told in row i, (layers, W or 1, n, features)."""
        if self.context is None:
            return None
        row = self.context[:, :, i if self.context.shape[2] > 1 else 0].permute(2, 0, 1)
        return torch.stack([layer.told(row) for layer in self.layers if layer.told is not None])


def _weight(linear: MaskedLinear) -> Tensor:
    """(inputs, outputs)."""
    return (linear.weight * linear.mask).T


def _last(h: Tensor, i: int, count: int) -> Tensor:
    """The rows i - count ... i - 1 of h, with nothing beyond the image, and REACH columns of nothing at the sides."""
    known = min(i, count)
    return F.pad(h[:, :, i - known : i], (REACH, REACH, count - known, 0))


def _lists(rows: Tensor) -> list[list[Tensor]]:
    """One (n, features) for each layer and column."""
    return [list(row.unbind(0)) for row in rows.unbind(0)]


def _stacked(rows: list[list[Tensor]]) -> Tensor:
    """The inverse of `_lists`."""
    return torch.stack([torch.stack(row) for row in rows])
