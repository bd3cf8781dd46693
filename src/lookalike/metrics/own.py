"""A network of the user's own as a feature space: an ONNX file, or any `nn.Module` in Python.

    --features inception.onnx --feature-range 0..255 --feature-size 299

The network is given x (B, C, H, W), float32, and gives features (B, D); or features and class logits (B, classes),
which of an ONNX file is the output of that name. The classic Inception-v3 of Heusel et al. (2017), arXiv:1706.08500,
and DINOv2 of Oquab et al. (2023), arXiv:2304.07193 (found nearer to human judgement by Stein et al. 2023,
arXiv:2306.04675) are used like this, by those who have their weights. Features are compared as they are, not
standardised, so that values agree with other libraries'. What the network was trained to be given is not written in
its file, so it is said, and stated with each value: the range of intensities and the size. Images are resized
bilinearly with antialiasing (Parmar et al. 2022, arXiv:2104.11222, on how much that matters), and one channel becomes
three where three are wanted.

An ONNX file is a list of operations, not a program: nothing in it is unpickled or run but those.
"""

from __future__ import annotations

import hashlib
import importlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import UserError, missing_extra

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
RANGES = ("0..1", "-1..1", "0..255", "imagenet")
"""What intensities a network is given; imagenet: 0..1 less ImageNet's mean, in units of its deviation."""


class Onnx(nn.Module):
    """A network in an ONNX file, run on the processor by onnxruntime.

    Arguments:
        path: of the file.

    Raises:
        UserError: onnxruntime is not installed, or the file is none that can be used.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        try:
            runtime = importlib.import_module("onnxruntime")
        except ModuleNotFoundError:
            raise missing_extra("onnxruntime", "onnx", f"the network {path}") from None
        if not path.is_file():
            raise UserError(f"there is no file {path} to take features from.")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3
        failures = tuple(error for error in vars(runtime.capi.onnxruntime_pybind11_state).values() if _is_error(error))
        self.failures: tuple[type[Exception], ...] = (*failures, RuntimeError, ValueError)
        try:
            self.session: Any = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except self.failures as error:
            raise UserError(f"{path} cannot be used as a network: {_one_line(error)}.") from None
        if len(self.session.get_inputs()) != 1:
            raise UserError(f"{path} takes {len(self.session.get_inputs())} inputs, but features are of x alone.")
        (self.takes,) = self.session.get_inputs()
        if self.takes.type not in DTYPES:
            raise UserError(f"{path} takes {self.takes.type}, but should take one of {', '.join(DTYPES)}.")
        names = [output.name for output in self.session.get_outputs()]
        self.outputs = [next((name for name in names if name != "logits"), "logits")]
        self.outputs += ["logits"] if "logits" in names else []

    @property
    def shape(self) -> tuple[int | None, ...]:
        """Of its input, None where it is free."""
        return tuple(side if isinstance(side, int) and side > 0 else None for side in self.takes.shape)

    def forward(self, x: Tensor) -> tuple[Tensor, ...] | Tensor:
        rows = x.detach().cpu().numpy()
        rows = np.rint(rows).astype(np.uint8) if "uint8" in self.takes.type else rows.astype(DTYPES[self.takes.type])
        size = self.shape[0] or len(rows)  # a file may be made for batches of one size only
        found: list[list[np.ndarray]] = []
        for start in range(0, len(rows), size):
            part = rows[start : start + size]
            full = np.concatenate([part, np.repeat(part[-1:], size - len(part), 0)])
            try:
                given = self.session.run(self.outputs, {self.takes.name: full})
            except self.failures as error:
                raise RuntimeError(_one_line(error)) from None
            found.append([np.asarray(output[: len(part)], dtype=np.float32) for output in given])
        outputs = [torch.from_numpy(np.concatenate(parts)) for parts in zip(*found, strict=True)]
        return (outputs[0], outputs[1]) if len(outputs) > 1 else outputs[0]


DTYPES: dict[str, type[np.generic]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(uint8)": np.uint8,
}


class Adapted(nn.Module):
    """A network given x as it was trained to be: h in [-1, 1] as images of its range, size and channels.

    Arguments:
        network: of x to features, or features and logits.
        channels: that it takes.
        size: height and width that it takes; None for the images' own.
        span: of intensities, one of `RANGES`.
    """

    def __init__(self, network: nn.Module, channels: int, size: tuple[int, int] | None, span: str) -> None:
        super().__init__()
        self.network = network
        self.channels, self.size, self.span = channels, size, span

    def forward(self, h: Tensor) -> Any:
        x = h.expand(-1, self.channels, -1, -1) if h.shape[1] == 1 else h
        if self.size is not None and tuple(x.shape[2:]) != self.size:
            x = F.interpolate(x, self.size, mode="bilinear", align_corners=False, antialias=True)
        if self.span == "-1..1":
            return self.network(x)
        x = (x + 1) / 2
        if self.span == "0..255":
            x = x.clamp(0, 1) * 255
        if self.span == "imagenet":
            mean, std = (x.new_tensor(numbers).view(1, 3, 1, 1) for numbers in IMAGENET)
            x = (x - mean) / std
        return self.network(x)


def own_network(
    network: str | Path | nn.Module, shape: tuple[int, ...], images: bool, span: str | None, size: int | None
) -> tuple[nn.Module, str]:
    """A network that takes h, and what the protocol says of it.

    Arguments:
        network: an ONNX file, or a module; it is put into eval mode.
        shape: of one h: (C, H, W) of images, (D,) of rows, which are given as they are at the door of a model.
        span, size: what images the network was trained on, `RANGES` and pixels a side; None for 0..1 and the size the
            file says, else the images' own.

    Raises:
        UserError: it cannot be given such items.
    """
    module = network if isinstance(network, nn.Module) else Onnx(Path(network))
    module.eval()
    name = type(module).__name__ if isinstance(network, nn.Module) else Path(network).name
    digest = _digest(module) if isinstance(network, nn.Module) else _file_digest(Path(network))
    if not images:
        return module, f"{name} {digest}"
    fixed = module.shape if isinstance(module, Onnx) else (None,) * 4
    if len(fixed) != 4 or fixed[3] == 3 != fixed[1]:
        raise UserError(f"{name} takes {fixed}, but images are given as (batch, channels, height, width).")
    if isinstance(module, Onnx) and "uint8" in module.takes.type and span not in (None, "0..255"):
        raise UserError(f"{name} takes bytes: its range is 0..255, not {span}.")
    span = span or ("0..255" if isinstance(module, Onnx) and "uint8" in module.takes.type else "0..1")
    sides = (fixed[2] or size or shape[1], fixed[3] or size or shape[2])
    if size is not None and sides != (size, size):
        raise UserError(f"{name} takes images of {sides[0]}x{sides[1]}, not {size}x{size}: leave --feature-size out.")
    channels = 3 if span == "imagenet" else fixed[1] or _channels(module, shape[0], sides)
    if shape[0] not in (1, channels):
        raise UserError(f"{name} takes {channels} channels, but the images have {shape[0]}.")
    return Adapted(module, channels, sides, span), f"{name} {digest}, given {span} at {sides[0]}x{sides[1]}"


def _channels(module: nn.Module, channels: int, sides: tuple[int, int]) -> int:
    """What a module takes of images of one channel: 1 where it can, else 3."""
    if channels != 1:
        return channels
    like = next(module.parameters(), torch.empty(0))
    try:
        with torch.no_grad():
            module(like.new_zeros(2, 1, *sides))
    except RuntimeError:
        return 3
    return 1


def _digest(module: nn.Module) -> str:
    """Of a network's weights and parts: what makes its features others."""
    digest = hashlib.sha256(repr(module).encode())
    for name, tensor in module.state_dict().items():
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)};".encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()[:12]


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]


def _is_error(thing: object) -> bool:
    return isinstance(thing, type) and issubclass(thing, Exception)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")[:300]
