"""The recurrent layers of a PixelRNN: a stream u, (pixels, B, 2 * width), and what the layer adds to it.

    row        h from u at (i, j - 1) and (i, j) and from h at (i - 1, j - 1 ... j + 1)
    diagonal   h from u at (i, j) and from h at (i - 1, j) and (i, j - 1); and h' the same in the mirror, from the
               right, which is shifted down by a row: there it has seen rows above only, all of their channels

Within a pixel u and h are in groups, one for each channel drawn; a group sees the groups up to its own.

van den Oord et al. (2016), "Pixel recurrent neural networks", arXiv:1601.06759, sections 3.1 to 3.3.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ....nn.masked import MaskedLinear
from ....nn.recurrent import LineLSTM, Path
from .channels import groups_of, upto

REACH = 3
"""Of the first convolution: rows above, and columns to each side."""


class RowLayer(nn.Module):
    """u + what the rows above say, (pixels, B, 2 * width), the pixels in raster order.

    Arguments:
        W: columns of the image.
        told: features of the context; 0 for none.
    """

    def __init__(self, width: int, groups: int, path: Path, W: int, told: int) -> None:
        super().__init__()
        self.W = W
        stream, state = groups_of(2 * width, groups), groups_of(width, groups)
        own = upto(stream, state.repeat(4))[:, :, 0, 0]
        self.enter = MaskedLinear(torch.cat([own, torch.ones_like(own)], dim=1))  # of u here, and to the left
        self.told = nn.Linear(told, 4 * width, bias=False) if told else None
        self.lstm = LineLSTM(width, 1, path)
        self.leave = MaskedLinear(upto(state, stream)[:, :, 0, 0])
        _remember(self.enter, width)

    def forward(self, u: Tensor, above: Tensor, context: Tensor | None) -> Tensor:
        left = F.pad(u.unflatten(0, (-1, self.W))[:, :-1], (0, 0, 0, 0, 1, 0)).flatten(0, 1)
        gates = self.enter(torch.cat([u, left], dim=2))
        if self.told is not None:
            gates = gates + self.told(context)
        out: Tensor = u + self.leave(self.lstm(gates[None])[0])
        return out


class DiagonalLayer(nn.Module):
    """u + what all before it says, (pixels, B, 2 * width), the pixels by diagonals.

    Arguments:
        W: columns of the image.
        told: features of the context; 0 for none.
    """

    mirror: Tensor
    down: Tensor

    def __init__(self, width: int, groups: int, path: Path, W: int, told: int) -> None:
        super().__init__()
        stream, state = groups_of(2 * width, groups), groups_of(width, groups)
        self.enter = MaskedLinear(upto(stream, state.repeat(4))[:, :, 0, 0])
        self.enter_right = nn.Linear(2 * width, 4 * width)  # one row down, all groups are of the past
        self.told = nn.Linear(told, 8 * width, bias=False) if told else None
        self.lstm = LineLSTM(width, 2, path)
        self.leave = MaskedLinear(upto(state, stream)[:, :, 0, 0])
        for enter in (self.enter, self.enter_right):
            _remember(enter, width)
        mirrored = path.order.argsort().view(-1, W).flip(1).flatten()  # of the raster
        self.register_buffer("mirror", mirrored[path.order], persistent=False)
        above = torch.cat([torch.full((W,), len(mirrored)), mirrored[:-W]])
        self.register_buffer("down", above[path.order], persistent=False)

    def forward(self, u: Tensor, above: Tensor, context: Tensor | None) -> Tensor:
        """`above` is what the map from the right is fed with; it may depend on all of its own row."""
        left, right = self.enter(u), self.enter_right(above.index_select(0, self.mirror))
        if self.told is not None:
            told_left, told_right = self.told(context).chunk(2, dim=2)
            left = left + told_left
            right = right + (told_right.index_select(0, self.mirror) if len(told_right) > 1 else told_right)
        h, h_right = self.lstm(torch.stack([left, right])).unbind(0)
        h = h + torch.cat([h_right, torch.zeros_like(h_right[:1])]).index_select(0, self.down)
        out: Tensor = u + self.leave(h)
        return out


def _remember(enter: nn.Linear, width: int) -> None:
    """A forget gate (the second of the four) that starts open, so that what is far is not lost before it is learnt."""
    with torch.no_grad():
        enter.bias[width : 2 * width] = 1.0
