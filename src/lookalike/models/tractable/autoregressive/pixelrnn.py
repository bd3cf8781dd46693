"""PixelRNN: each intensity from all before it, which a recurrent layer carries over any distance.

    log p(x) = sum over pixels (i, j), channels c of  log p(x_cij | pixels before (i, j), channels < c)

    first      a masked convolution, 7x7, to a stream u of 2 * width features that sees the pixels before its own
    row        u += out(h),   h from u at (i, j - 1) and (i, j) and from h at (i - 1, j - 1 ... j + 1)
    diagonal   u += out(h + h' one row down),   h from u at (i, j) and from h at (i - 1, j) and (i, j - 1);
               h' the same in the mirror, from the right
    head       two layers within each pixel

A Row LSTM takes a step a row and sees a triangle above the pixel; a Diagonal BiLSTM takes a step a diagonal and sees
the whole past. Its map from the right may not be added as it is: at (i, j) it has seen (i, j + 1), so it is shifted
down by a row. Then it ends a row early, so the first such layer is fed not with u but with a map that sees the rows
up to its own: fed with u it would not see the last pixels of the row above.

van den Oord et al. (2016), "Pixel recurrent neural networks", arXiv:1601.06759. Differs from the paper: that map of
its own for the first layer from the right, and any likelihood of a pixel (`nn.mixture.pixelwise`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Annotated, Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ....nn.likelihoods import Pixelwise
from ....nn.masked import MaskedConv2d
from ....nn.mixture import PixelwiseName, pixelwise
from ....nn.recurrent import diagonals, rows
from ....options import Range
from ....spec import Spec
from .channels import Head, before, groups_of
from .pixelrnn_layers import REACH, DiagonalLayer, RowLayer
from .pixelrnn_steps import Steps
from .raster import CausalNetwork, Raster, Stepper, labels_of


def pixelrnn(
    spec: Spec,
    *,
    layer: Literal["row", "diagonal"] = "diagonal",
    width: Annotated[int, Range(1)] = 16,
    layers: Annotated[int, Range(1)] = 7,
    conditional: bool = False,
    likelihood: PixelwiseName = "auto",
    components: Annotated[int, Range(1)] = 10,
) -> Raster:
    """A PixelRNN for images of any levels and channels.

    Arguments:
        layer: row (quicker, sees a triangle above the pixel) or diagonal (sees the whole past).
        width: features of a recurrent layer's state; the stream between the layers has twice as many.
        layers: recurrent layers, each residual.
        conditional: whether each layer has a bias for the label, so that samples can be asked for by class.
        likelihood: of a pixel; auto takes bernoulli for binary images and categorical for others.
        components: logistics in the mixture of likelihood mixture.
    """
    p_x = pixelwise(spec, likelihood, components)
    classes = labels_of(spec, conditional, "pixelrnn")
    context = OneHot(classes) if conditional else None
    network = PixelRNN(spec.shape, p_x, layer, width, layers, context)
    model = Raster(spec, network, p_x, conditional)
    model.bf16 = False  # what takes time are the recurrent steps, which are float32 in any case
    return model


class Context(nn.Module, ABC):
    """What a network is told beside the pixels: y -> (B, width, H, W), or (B, width, 1, 1) where it is one for all."""

    width: int

    @abstractmethod
    def forward(self, y: Tensor) -> Tensor: ...


class OneHot(Context):
    """Labels, shape (B,)."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.width = classes

    def forward(self, y: Tensor) -> Tensor:
        return F.one_hot(y, self.width)[..., None, None]


class PixelRNN(CausalNetwork):
    """(B, C, H, W) -> params (B, likelihood.width, H, W), a pixel's from the pixels before it.

    Inside, maps have the shape (pixels, B, features), the pixels in the order in which the layers walk them.

    Arguments:
        context: what every layer is told beside the stream, if anything.
    """

    order: Tensor
    inverse: Tensor

    def __init__(
        self,
        shape: tuple[int, ...],
        likelihood: Pixelwise,
        layer: Literal["row", "diagonal"],
        width: int,
        layers: int,
        context: Context | None = None,
    ) -> None:
        super().__init__()
        C, self.H, self.W = shape
        groups = C if likelihood.by_channel else 1
        width = max(width, groups)  # a feature for each channel at the least
        path = (diagonals if layer == "diagonal" else rows)(self.H, self.W)
        self.register_buffer("order", path.order, persistent=False)
        self.register_buffer("inverse", path.order.argsort(), persistent=False)
        self.first = MaskedConv2d(_first(torch.arange(C) * groups // C, groups_of(2 * width, groups)))
        # Shifted down by a row, it may see that row and all of its channels.
        self.above = nn.Conv2d(C, 2 * width, (REACH + 1, 2 * REACH + 1)) if layer == "diagonal" else None
        told = context.width if context is not None else 0
        make = DiagonalLayer if layer == "diagonal" else RowLayer
        self.layers = nn.ModuleList(make(width, groups, path, self.W, told) for _ in range(layers))
        self.context = context
        self.head = Head(2 * width, C, likelihood, "relu")

    def forward(self, h: Tensor, y: Tensor | None) -> Tensor:
        padded = F.pad(h, (REACH, REACH, REACH, 0))
        u = self._lined(self.first(padded))
        above = u if self.above is None else self._lined(self.above(padded))
        context = self._told(y)
        if context is not None:
            context = self._lined(context) if context.shape[2] > 1 else context.permute(2, 3, 0, 1).flatten(0, 1)
        for layer in self.layers:
            u = above = layer(u, above, context)
        image = u.index_select(0, self.inverse).unflatten(0, (self.H, self.W)).permute(2, 3, 0, 1)
        params: Tensor = self.head(image)
        return params

    def stepper(self, n: int, y: Tensor | None) -> Stepper:
        layers = cast(Sequence[RowLayer | DiagonalLayer], self.layers)
        return Steps(n, self.first, self.above, layers, self.head, self._told(y))

    def _told(self, y: Tensor | None) -> Tensor | None:
        """The context of y in the layers' precision."""
        if self.context is None:
            return None
        context: Tensor = self.context(y)
        return context.to(self.first.weight.dtype)

    def _lined(self, image: Tensor) -> Tensor:
        """(B, features, H, W) -> (pixels, B, features)."""
        return image.permute(2, 3, 0, 1).flatten(0, 1).index_select(0, self.order)


def _first(inputs: Tensor, outputs: Tensor) -> Tensor:
    """The mask of the first convolution between channels and features of these groups, (outputs, inputs, 4, 7)."""
    mask = torch.ones(len(outputs), len(inputs), REACH + 1, 2 * REACH + 1, dtype=torch.bool)
    mask[:, :, REACH, REACH:] = False
    mask[:, :, REACH, REACH] = before(inputs, outputs)[:, :, 0, 0]
    return mask
