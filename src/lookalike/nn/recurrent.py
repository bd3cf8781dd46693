"""A convolutional LSTM that runs over an image line by line: all positions of a line, of all images, in one step.

    a = gates + sum over taps k of  h[source k] @ weight[k]           a = (o, f, i, g), four maps of the width
    c = sigmoid(f) * c[before] + sigmoid(i) * tanh(g)
    h = sigmoid(o) * tanh(c)

`gates` is what the input says, computed for all pixels at once beforehand; only the taps wait for the line before.

    rows         a line is a row; taps: the three pixels above; c comes from the pixel above
    diagonals    a line is all (i, j) of one i + j; taps: the pixel above and the left one; c comes from the left one

A map is stored line after line, (pixels, B, features): a line is then a run of memory, every step one product of two
dense matrices, and the diagonals need no skewed copy of the image with its half that is empty. What the field calls
skewing is one reordering of the pixels, and 1x1 convolutions do not care about their order.

van den Oord et al. (2016), "Pixel recurrent neural networks", arXiv:1601.06759, eq. 3; the cell is that of Hochreiter
& Schmidhuber (1997). The derivative is written out, since one taken by autograd would be twice the small operations:
all that does not depend on a later line is computed for all lines at once.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class Path(NamedTuple):
    """In which lines an image is walked.

    Arguments:
        order: the raster indices of the pixels, line after line, shape (pixels,).
        sources: where in that order each tap of each pixel is, shape (taps, pixels); `pixels` for none.
        lines: of each the count of its pixels, and the position of the first; a position is a row of the image for
            diagonals and a column for rows.
        positions: how many there are.
    """

    order: Tensor
    sources: Tensor
    lines: tuple[tuple[int, int], ...]
    positions: int


def rows(H: int, W: int) -> Path:
    """Row by row from the top, the taps above left, above, and above right."""
    order = torch.arange(H * W)
    sources = _found(order, H, W, ((-1, -1), (-1, 0), (-1, 1)))
    return Path(order, sources, ((W, 0),) * H, W)


def diagonals(H: int, W: int) -> Path:
    """Diagonal by diagonal from the upper left corner, the taps above and left."""
    i, j = torch.arange(H)[:, None].expand(H, W).flatten(), torch.arange(W).repeat(H)
    order = ((i + j) * H + i).argsort()
    sources = _found(order, H, W, ((-1, 0), (0, -1)))
    lows = [max(0, d - W + 1) for d in range(H + W - 1)]
    return Path(order, sources, tuple((min(d, H - 1) - low + 1, low) for d, low in enumerate(lows)), H)


def _found(order: Tensor, H: int, W: int, taps: tuple[tuple[int, int], ...]) -> Tensor:
    """Where in the order the pixels at these offsets (rows, columns) are, shape (taps, pixels)."""
    there = torch.full((H + 1, W + 2), H * W)  # with a row above and a column on each side that hold nothing
    there[1:, 1:-1] = order.argsort().view(H, W)
    i, j = order // W, order % W
    return torch.stack([there[i + 1 + up, j + 1 + left] for up, left in taps])


class LineLSTM(nn.Module):
    """(directions, pixels, B, 4 * width) of gates -> h, (directions, pixels, B, width); pixels in the path's order.

    Its weight has shape (directions, taps * width, 4 * width).

    Arguments:
        width: of h.
        directions: maps walked at once, each with weights of its own.
    """

    sources: Tensor

    def __init__(self, width: int, directions: int, path: Path) -> None:
        super().__init__()
        taps = len(path.sources)
        bound = 1 / math.sqrt(taps * width)
        self.weight = nn.Parameter(torch.empty(directions, taps * width, 4 * width).uniform_(-bound, bound))
        self.register_buffer("sources", path.sources, persistent=False)
        self.lines, self.positions = path.lines, path.positions

    def forward(self, gates: Tensor) -> Tensor:
        # Over many steps a state of three digits would drift, so the scan is never in bf16.
        with torch.autocast(gates.device.type, enabled=False):
            gates = gates.to(self.weight.dtype)
            h: Tensor = Scan.apply(gates, self.weight, self.sources, self.lines, self.positions)
        return h


def cell(a: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """One step: h and the new c, shape (..., width), of a, (..., 4 * width), and the old c."""
    o, f, i, g = a.chunk(4, dim=-1)
    c = torch.addcmul(f.sigmoid() * c, i.sigmoid(), g.tanh())
    return o.sigmoid() * c.tanh(), c


class Scan(torch.autograd.Function):
    """The steps over all lines and their derivative; `LineLSTM` has the shapes.

    In here the pixels and images of a map are one dimension, (directions, pixels * B, features). `state` holds the
    latest h of each position, after a position before the first that stays 0 (and for rows one after the last).
    """

    @staticmethod
    def forward(
        ctx: Any, gates: Tensor, weight: Tensor, sources: Tensor, lines: tuple[tuple[int, int], ...], positions: int
    ) -> Tensor:
        G, P, B, width = *gates.shape[:3], gates.shape[3] // 4
        # tanh(g) = 2 sigmoid(2 g) - 1: so one sigmoid of a run of memory does for all four.
        twice = gates.new_tensor([1.0, 1.0, 1.0, 2.0]).repeat_interleave(width)
        a = (gates * twice).flatten(1, 2)
        taps = (weight * twice).split(width, dim=1)
        state = a.new_zeros(G, (positions + len(taps) - 1) * B, width)
        cells = a.new_zeros(G, positions * B, width)
        before, tanh_c, h = (a.new_empty(G, P * B, width) for _ in range(3))
        sizes = [n * B for n, _ in lines]
        maps = (a, *a.chunk(4, dim=-1), before, tanh_c, h)
        for (n, low), *line in zip(lines, *(part.split(sizes, dim=1) for part in maps), strict=True):
            a_line, o, f, i, g, before_line, tanh_line, h_line = line
            for k, tap in enumerate(taps):
                a_line.baddbmm_(state.narrow(1, (low + k) * B, n * B), tap)
            a_line.sigmoid_()
            c = cells.narrow(1, low * B, n * B)
            before_line.copy_(c)
            c.mul_(f).addcmul_(i, g, value=2).sub_(i)
            torch.tanh(c, out=tanh_line)
            torch.mul(o, tanh_line, out=h_line)
            state.narrow(1, (low + 1) * B, n * B).copy_(h_line)
        ctx.save_for_backward(a, before, tanh_c, h, weight, sources)
        ctx.lines, ctx.positions, ctx.B = lines, positions, B
        return h.view(G, P, B, width)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, to_h: Tensor) -> tuple[Tensor | None, ...]:
        """Below `to_x` is the derivative of the loss by x."""
        a, before, tanh_c, h, weight, sources = ctx.saved_tensors
        to_a, by_h, f = _factors(a, before, tanh_c)
        to_h = to_h.reshape(h.shape)
        width, B = h.shape[-1], ctx.B
        back = [tap.transpose(1, 2) for tap in weight.split(width, dim=1)]
        to_state = a.new_zeros(len(a), (ctx.positions + len(back) - 1) * B, width)
        to_cells = a.new_zeros(len(a), ctx.positions * B, width)
        sizes = [n * B for n, _ in ctx.lines]
        maps = (to_a, to_a[..., :width], to_a[..., width:].unflatten(-1, (3, width)), by_h, f, to_h)
        lines = list(zip(ctx.lines, *(part.split(sizes, dim=1) for part in maps), strict=True))
        for (n, low), to_a_line, to_o, to_fig, by_h_line, f_line, to_h_line in reversed(lines):
            own = to_state.narrow(1, (low + 1) * B, n * B)
            own.add_(to_h_line)
            to_c = to_cells.narrow(1, low * B, n * B).addcmul_(own, by_h_line)
            to_o.mul_(own)
            to_fig.mul_(to_c.unsqueeze(2))
            to_c.mul_(f_line)
            own.zero_()  # before this line its positions held the line before
            for k, tap in enumerate(back):
                to_state.narrow(1, (low + k) * B, n * B).baddbmm_(to_a_line, tap)
        seen = torch.cat([h.unflatten(1, (-1, B)), h.new_zeros(len(h), 1, B, width)], dim=1)
        to_weight = [seen.index_select(1, source).flatten(1, 2).transpose(1, 2) @ to_a for source in sources]
        return to_a.unflatten(1, (-1, B)), torch.cat(to_weight, dim=1), None, None, None


def _factors(a: Tensor, before: Tensor, tanh_c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What the derivative needs of all lines at once, from a = sigmoid of (o, f, i, 2 g).

    Returns:
        dh/do, then dc/df, dc/di, dc/dg, as the four maps of a; dh/dc; dc/d(the c before).
    """
    o, f, i, g = a.chunk(4, dim=-1)
    by_a = torch.addcmul(a, a, a, value=-1)  # the derivative of a sigmoid
    by_o, by_f, by_i, by_g = by_a.chunk(4, dim=-1)
    by_o.mul_(tanh_c)
    by_f.mul_(before)
    by_i.mul_(g * 2 - 1)
    by_g.mul_(i * 4)
    return by_a, torch.addcmul(o, o * tanh_c, tanh_c, value=-1), f.contiguous()
