"""PixelSNAIL: gated causal convolutions for what is near, causal attention for what is far.

    log p(x) = sum over pixels (i, j) of  log p(x_ij | all pixels before it in raster order)

    each block    gated residual blocks of causal convolutions;
                  attention at half the sides:  sum_q softmax_q(query_p . key_q / sqrt(d)) value_q,  q up to p;
                  a gated residual block of single pixels, which is told what attention found

Convolutions see what is near finely, attention sees the whole past in every block. The pixels of the halved image lie
at (2 i, 2 j) and have features from the pixels before that only, so that those up to p in raster order, p itself
included, may be attended to, and what is found be told to p and its neighbours to the right and below. What a halved
image cannot yet know, the rest of the row and of the one above, the first layer sees. Blocks are residual, so that
what each has found reaches the last layer (block skips).

Chen et al. (2018), "PixelSNAIL", arXiv:1712.09763. Differs from the paper: attention at half the sides, which costs a
sixteenth; positions are learnt features of each pixel, added once, where the paper has two channels with the row and
the column; one convolution of two rows and three columns in a gated block, which sees the upper right neighbour too,
where the paper has two of two and two; SiLU; several narrow heads.
"""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ....nn.likelihoods import Pixelwise
from ....nn.mixture import PixelwiseName
from ....options import Range
from ....spec import Spec
from .causal import (
    POINT,
    CausalConv,
    Enter,
    GatedBlock,
    Leave,
    Memory,
    Pass,
    Step,
    View,
    Whole,
    drawn_from,
)
from .raster import CausalNetwork, Raster, Stepper, labels_of

NEAR = View(rows=2, left=1, right=1)
HEAD = 16  # features of an attention head


class PixelSNAIL(Raster):
    """PixelSNAIL for images of any size, levels and channels.

    Arguments:
        width: features of each pixel.
        blocks: of convolutions and attention.
        depth: gated convolutions in each block.
        heads: of attention in each block, 16 features each.
        dropout: share of the features dropped in each gated convolution in training.
        likelihood: what an intensity is drawn from: bernoulli, categorical or a mixture of logistics; auto is bernoulli
            for grey binary images and a mixture for others.
        components: logistics in the mixture.
        conditional: whether each block has a bias for the label, so that samples can be asked for by class.
    """

    def __init__(
        self,
        spec: Spec,
        *,
        width: Annotated[int, Range(1)] = 64,
        blocks: Annotated[int, Range(1)] = 4,
        depth: Annotated[int, Range(1)] = 3,
        heads: Annotated[int, Range(1)] = 2,
        dropout: Annotated[float, Range(0, 0.9)] = 0.0,
        likelihood: PixelwiseName = "auto",
        components: Annotated[int, Range(1)] = 10,
        conditional: bool = False,
    ) -> None:
        p_x = drawn_from(spec, likelihood, components)
        classes = labels_of(spec, conditional, "pixelsnail")
        network = Snail(spec.shape, p_x, width, blocks, depth, heads, dropout, classes)
        super().__init__(spec, network, p_x, conditional)


class Snail(CausalNetwork):
    """(B, C, H, W) -> (B, likelihood.width, H, W)."""

    def __init__(
        self,
        shape: tuple[int, ...],
        likelihood: Pixelwise,
        width: int,
        blocks: int,
        depth: int,
        heads: int,
        dropout: float,
        classes: int,
    ) -> None:
        super().__init__()
        channels, H, W = shape
        width = max(width, channels)  # a feature for each channel at the least, in the last layers
        self.enter = Enter(channels, width, reach=3, W=W)
        self.position = nn.Parameter(torch.zeros(1, width, H, W))
        self.blocks = nn.ModuleList(Block(width, depth, heads, dropout, classes) for _ in range(blocks))
        self.leave = Leave(channels, width, likelihood)

    def forward(self, h: Tensor, y: Tensor | None) -> Tensor:
        x = self.enter(h) + self.position
        for block in self.blocks:
            x = block(x, Whole(), y)
        return self.leave(x, h)

    def stepper(self, n: int, y: Tensor | None) -> Stepper:
        memory = Memory()
        held: list[Tensor] = []  # what the rows above say of this row, and the features of this pixel

        def step(h: Tensor, i: int, j: int, c: int) -> Tensor:
            if c == 0:
                W = h.shape[3]
                above = self.enter.row(h, Step(memory, W, i)) if j == 0 else held[0]
                go = Step(memory, W, i, j)
                x = self.enter.pixel(h, above, go) + self.position[:, :, i, j, None, None]
                for block in self.blocks:
                    x = block(x, go, y)
                held[:] = [above, x]
            return self.leave(held[1], h[:, :, i, j, None, None])[:, :, 0, 0]

        return step


class Block(nn.Module):
    """Gated convolutions, attention, and a gated block of single pixels that merges what both found."""

    def __init__(self, width: int, depth: int, heads: int, dropout: float, classes: int) -> None:
        super().__init__()
        self.near = nn.ModuleList(GatedBlock(width, NEAR, POINT, dropout, classes, "silu") for _ in range(depth))
        self.far = Attention(width, heads)
        self.both = GatedBlock(width, POINT, POINT, dropout, 0, "silu")

    def forward(self, x: Tensor, go: Pass, y: Tensor | None) -> Tensor:
        for block in self.near:
            x = block(x, go, y)
        merged: Tensor = self.both(x, go, None, self.far(x, go))
        return merged


class Attention(nn.Module):
    """Attention at half the sides: (B, width, H, W) -> (B, width, H, W)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        inner = heads * HEAD
        self.halve = CausalConv(width, width, View(rows=2, left=1), stride=2)
        self.query_key_value = CausalConv(width, 3 * inner)
        self.sizes = inner, 2 * inner
        self.enlarge = CausalConv(inner, 4 * width)

    def forward(self, x: Tensor, go: Pass) -> Tensor:
        half, found = go.conv(self.halve, F.silu(x)), None
        if half is not None:
            inside = go.coarser()
            query, key_value = inside.same(self.query_key_value, F.silu(half)).split(self.sizes, dim=1)
            past = inside.past(self, key_value).chunk(2, dim=1)
            q, k, v = (_heads(part) for part in (query.flatten(2), *past))
            # A single query sees all keys it is given: they are of the past.
            found = F.scaled_dot_product_attention(q, k, v, is_causal=q.shape[2] > 1)
            found = found.transpose(2, 3).reshape(query.shape)
        return go.enlarged(self.enlarge, found, x)


def _heads(x: Tensor) -> Tensor:
    """(B, heads * HEAD, L) -> (B, heads, L, HEAD)."""
    return x.unflatten(1, (-1, HEAD)).transpose(2, 3)
