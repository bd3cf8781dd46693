"""Autoregressive models by name."""

from __future__ import annotations

from ....recipe import Recipe
from .made import MADE
from .maskedpixelcnn import MaskedPixelCNN
from .multiscale import MultiScale
from .pixelcnn import PixelCNN
from .pixelcnnpp import PixelCNNpp
from .pixelrnn import pixelrnn
from .pixelsnail import PixelSNAIL

RECIPES: dict[str, Recipe] = {
    "pixelcnn": Recipe(
        PixelCNN,
        summary="Gated PixelCNN: each pixel from all before it, without a blind spot; exact log p(x)",
        reference="van den Oord et al. (2016), arXiv:1606.05328",
        kinds=("images",),
        data="mnist-5k",
        binarize="dynamic",
        training={"steps": 3000, "batch_size": 32, "optimiser": "muon", "lr": 1.5e-3},
    ),
    "masked-pixelcnn": Recipe(
        MaskedPixelCNN,
        summary="PixelCNN: masked convolutions, the simplest of its kind; exact log p(x), with a blind spot",
        reference="van den Oord et al. (2016), arXiv:1601.06759",
        kinds=("images",),
        data="mnist-5k",
        binarize="dynamic",
        training={"steps": 3000, "batch_size": 32, "optimiser": "muon", "lr": 1.5e-3},
    ),
    "row-lstm": Recipe(
        pixelrnn,
        summary="PixelRNN with row LSTMs: each pixel from a triangle above it and its own row; exact log p(x)",
        reference="van den Oord et al. (2016), arXiv:1601.06759",
        kinds=("images",),
        data="mnist-5k",
        binarize="dynamic",
        options={"layer": "row"},
        training={"steps": 3000, "batch_size": 16, "lr": 2e-3},
    ),
    "diagonal-bilstm": Recipe(
        pixelrnn,
        summary="PixelRNN with diagonal LSTMs from both sides: each pixel from all before it; exact log p(x)",
        reference="van den Oord et al. (2016), arXiv:1601.06759",
        kinds=("images",),
        data="mnist-5k",
        binarize="dynamic",
        training={"steps": 3000, "batch_size": 16, "lr": 2e-3},
    ),
    "pixelcnn++": Recipe(
        PixelCNNpp,
        summary="PixelCNN++: two streams through three sizes, a mixture of logistics for intensities; exact log p(x)",
        reference="Salimans et al. (2017), arXiv:1701.05517",
        kinds=("images",),
        data="mnist-5k",
        binarize="dynamic",
        training={"steps": 3000, "batch_size": 16, "lr": 2e-3, "ema": 0.9995},
    ),
    "pixelsnail": Recipe(
        PixelSNAIL,
        summary="PixelSNAIL: causal convolutions and attention to the whole past, the best of its kind; exact log p(x)",
        reference="Chen et al. (2018), arXiv:1712.09763",
        kinds=("images",),
        data="mnist-5k",
        binarize="dynamic",
        training={"steps": 3000, "batch_size": 16, "lr": 2e-3, "ema": 0.9995},
    ),
    "multiscale-pixelrnn": Recipe(
        MultiScale,
        summary="PixelRNN in two scales: every second pixel of every second row, then the rest; exact log p(x)",
        reference="van den Oord et al. (2016), arXiv:1601.06759",
        kinds=("images",),
        data="mnist-5k",
        binarize="dynamic",
        training={"steps": 3000, "batch_size": 16, "lr": 2e-3},
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
