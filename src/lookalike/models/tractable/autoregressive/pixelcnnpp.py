"""PixelCNN++: two streams of gated residual blocks through three sizes of the image, and logistics for the intensities.

    log p(x) = sum over pixels (i, j) of  log p(x_ij | rows above i, row i left of j)

    down     each pixel's features see the rows above it, all columns
    right    ... and its own row to the left; each block is told what the same block of `down` has found
    sizes    after some blocks the sides are halved (rounding up), and on the way back doubled; each block on the way
             back has the features of its counterpart on the way there beside it

An output of the halved image lies at pixel (2 i, 2 j) and sees what that pixel sees, which its three neighbours to the
right and below may all see too: so halving and doubling keep the order. The channels of a pixel are the likelihood's
affair (`nn.mixture`), as are the levels.

Salimans et al. (2017), "PixelCNN++", arXiv:1701.05517. Differs from the paper: halving stops where the image runs out
of pixels; as many blocks on the way back as on the way there at every size; doubling says a pixel's features to its
four by a matrix each; the first layer sees a whole row, of which the paper's network may not see the far end where i
is odd; a Bernoulli for grey binary images.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

from torch import Tensor, nn

from ....nn.likelihoods import Pixelwise
from ....nn.mixture import PixelwiseName
from ....options import Range
from ....spec import Spec
from .causal import (
    CausalConv,
    Enter,
    GatedBlock,
    Leave,
    Memory,
    Pass,
    Step,
    View,
    Whole,
    concat_elu,
    down,
    drawn_from,
    marked,
    row_above,
)
from .raster import CausalNetwork, Raster, Stepper, labels_of

DOWN = View(rows=2, left=1, right=1, ahead=True)
RIGHT = View(rows=2, left=1)


class PixelCNNpp(Raster):
    """PixelCNN++ for images of any size, levels and channels.

    Arguments:
        width: features of each stream.
        blocks: at each size, on the way there and again on the way back.
        sizes: of the image in all, each half the one before; fewer where the image runs out of pixels.
        dropout: share of the features dropped in each block in training.
        likelihood: what an intensity is drawn from: bernoulli, categorical or a mixture of logistics; auto is bernoulli
            for grey binary images and a mixture for others.
        components: logistics in the mixture.
        conditional: whether each block has a bias for the label, so that samples can be asked for by class.
    """

    def __init__(
        self,
        spec: Spec,
        *,
        width: Annotated[int, Range(1)] = 32,
        blocks: Annotated[int, Range(1)] = 2,
        sizes: Annotated[int, Range(1)] = 3,
        dropout: Annotated[float, Range(0, 0.9)] = 0.1,
        likelihood: PixelwiseName = "auto",
        components: Annotated[int, Range(1)] = 10,
        conditional: bool = False,
    ) -> None:
        p_x = drawn_from(spec, likelihood, components)
        classes = labels_of(spec, conditional, "pixelcnn++")
        super().__init__(spec, Streams(spec.shape, p_x, width, blocks, sizes, dropout, classes), p_x, conditional)


class Streams(CausalNetwork):
    """Both streams: (B, C, H, W) -> (B, likelihood.width, H, W)."""

    def __init__(
        self,
        shape: tuple[int, ...],
        likelihood: Pixelwise,
        width: int,
        blocks: int,
        sizes: int,
        dropout: float,
        classes: int,
    ) -> None:
        super().__init__()
        channels, H, W = shape
        width = max(width, channels)  # a feature for each channel at the least, in the last layers
        sides = [min(H, W)]
        while len(sides) < sizes and sides[-1] > 2:
            sides.append((sides[-1] + 1) // 2)
        self.enter_down = CausalConv(channels + 1, width, DOWN)
        self.enter = Enter(channels, width, reach=1, W=W)
        self.down = Stream(len(sides), width, blocks, DOWN, dropout, classes, told=False)
        self.right = Stream(len(sides), width, blocks, RIGHT, dropout, classes, told=True)
        self.leave = Leave(channels, width, likelihood)

    def forward(self, h: Tensor, y: Tensor | None) -> Tensor:
        go = Whole()
        above = self.down(go.same(self.enter_down, down(marked(h))), go, y)
        found = self.right(self.enter(h), go, y, self.right.told(above, go))
        return self.leave(found.last[-1], h)

    def stepper(self, n: int, y: Tensor | None) -> Stepper:
        memory = Memory()
        row: list[tuple[Features, Tensor]] = []
        features: list[Tensor] = []

        def step(h: Tensor, i: int, j: int, c: int) -> Tensor:
            W = h.shape[3]
            if j == c == 0:
                go = Step(memory, W, i)
                above = self.down(go.same(self.enter_down, row_above(h, i)), go, y)
                row[:] = [(self.right.told(above, go), self.enter.row(h, go))]
            if c == 0:
                (told, entered), go = row[0], Step(memory, W, i, j)
                features[:] = self.right(self.enter.pixel(h, entered, go), go, y, told.at(j)).last[-1:]
            return self.leave(features[0], h[:, :, i, j, None, None])[:, :, 0, 0]

        return step


class Features(NamedTuple):
    """What the blocks of a stream give, in their order; `coarser` is what those of the halved image give."""

    first: list[Tensor]
    coarser: Features | None
    last: list[Tensor]

    def at(self, j: int) -> Features:
        """Those of column j, shape (n, width, 1, 1) each."""
        coarser = self.coarser and self.coarser.at(j // 2)
        return Features([x[..., j, None] for x in self.first], coarser, [x[..., j, None] for x in self.last])


class Stream(nn.Module):
    """Blocks at one size, inside them a stream of the halved image, and blocks again.

    Arguments:
        sizes: this one and those inside.
        told: whether each block is told what the same block of another stream has found.
    """

    def __init__(
        self, sizes: int, width: int, blocks: int, view: View, dropout: float, classes: int, told: bool
    ) -> None:
        super().__init__()
        self.first = nn.ModuleList(GatedBlock(width, view, view, dropout, classes, "concat_elu") for _ in range(blocks))
        self.last = nn.ModuleList(
            GatedBlock(width, view, view, dropout, classes, "concat_elu", beside=True) for _ in range(blocks)
        )
        self.tell_first = nn.ModuleList(CausalConv(2 * width, width) for _ in range(blocks * told))
        self.tell_last = nn.ModuleList(CausalConv(2 * width, width) for _ in range(blocks * told))
        self.coarser: Stream | None = None
        if sizes > 1:
            self.halve = CausalConv(width, width, view, stride=2)
            self.coarser = Stream(sizes - 1, width, blocks, view, dropout, classes, told)
            self.enlarge = CausalConv(width, 4 * width)

    def forward(self, x: Tensor, go: Pass, y: Tensor | None, told: Features | None = None) -> Features:
        first: list[Tensor] = []
        for k, block in enumerate(self.first):
            x = block(x, go, y, told.first[k] if told else None)
            first.append(x)
        inside = None
        if self.coarser is not None:
            half = go.conv(self.halve, x)
            if half is not None:
                inside = self.coarser(half, go.coarser(), y, told.coarser if told else None)
            x = go.enlarged(self.enlarge, inside.last[-1] if inside else None, x)
        last: list[Tensor] = []
        for k, (block, beside) in enumerate(zip(self.last, reversed(first), strict=True)):
            x = block(x, go, y, told.last[k] if told else None, beside)
            last.append(x)
        return Features(first, inside, last)

    def told(self, other: Features, go: Pass) -> Features:
        """What each block is told of what another stream's found."""
        first: list[Tensor] = []
        last: list[Tensor] = []
        for told, tells, found in ((first, self.tell_first, other.first), (last, self.tell_last, other.last)):
            for tell, x in zip(tells, found, strict=True):
                assert isinstance(tell, CausalConv)
                told.append(go.same(tell, concat_elu(x)))
        inside = None
        if self.coarser is not None and other.coarser is not None:
            inside = self.coarser.told(other.coarser, go.coarser())
        return Features(first, inside, last)
