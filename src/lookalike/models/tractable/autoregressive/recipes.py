"""Autoregressive models by name."""

from __future__ import annotations

from ....recipe import Recipe
from .made import MADE
from .maskedpixelcnn import MaskedPixelCNN
from .pixelcnn import PixelCNN
from .pixelrnn import pixelrnn

RECIPES: dict[str, Recipe] = {
    "pixelcnn": Recipe(
        PixelCNN,
        summary="Gated PixelCNN: each pixel from all before it, without a blind spot; exact log p(x)",
        reference="van den Oord et al. (2016), arXiv:1606.05328",
        kinds=("images",),
        data="mnist-5k",
        binarize="dynamic",
        training={"steps": 3000, "batch_size": 32, "lr": 1e-3},
    ),
    "masked-pixelcnn": Recipe(
        MaskedPixelCNN,
        summary="PixelCNN: masked convolutions, the simplest of its kind; exact log p(x), with a blind spot",
        reference="van den Oord et al. (2016), arXiv:1601.06759",
        kinds=("images",),
        data="mnist-5k",
        binarize="dynamic",
        training={"steps": 3000, "batch_size": 32, "lr": 1e-3},
    ),
    "row-lstm": Recipe(
        pixelrnn,
        summary="PixelRNN with row LSTMs: each pixel from a triangle above it and its own row; exact log p(x)",
        reference="van den Oord et al. (2016), arXiv:1601.06759",
        kinds=("images",),
        data="mnist-5k",
        binarize="dynamic",
        options={"layer": "row"},
        training={"steps": 3000, "batch_size": 16, "lr": 1e-3},
    ),
    "diagonal-bilstm": Recipe(
        pixelrnn,
        summary="PixelRNN with diagonal LSTMs from both sides: each pixel from all before it; exact log p(x)",
        reference="van den Oord et al. (2016), arXiv:1601.06759",
        kinds=("images",),
        data="mnist-5k",
        binarize="dynamic",
        training={"steps": 3000, "batch_size": 16, "lr": 1e-3},
    ),
    "made": Recipe(
        MADE,
        summary="MADE: every conditional of a row or a small image in one masked network; exact log p(x)",
        reference="Germain et al. (2015), arXiv:1502.03509",
        data="grid25",
        training={"steps": 5000, "batch_size": 256, "lr": 2e-3},
        by_kind={"images": {"width": 512, "batch_size": 64, "lr": 1e-3}},
    ),
}
