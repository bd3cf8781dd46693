"""Where and in which precision to compute: found, or as the user asked."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Literal

import torch
from torch import nn

from ..errors import UserError
from ..models.base import Model

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # as glibc's malloc.h numbers them

Precision = Literal["auto", "float32", "bf16"]


def find_device(name: str = "auto") -> torch.device:
    """The device of that name; "auto" takes cuda, then mps, then the CPU.

    Raises:
        UserError: there is no such device here.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UserError(f"no device is named {name!r}: use auto, cpu, cuda, cuda:0 or mps.") from None
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not there.get(device.type, False) or (device.index or 0) >= max(1, torch.cuda.device_count()):
        raise UserError(f"there is no device {name!r} here. --device auto takes the best there is.")
    return device


def fast_bf16(device: torch.device) -> bool:
    """Whether bfloat16 is computed in hardware: elsewhere it is slower than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        able = torch.cpu.get_capabilities()
        return bool(able.get("avx512_bf16") or able.get("amx_bf16") or able.get("sve_bf16"))
    return False


def suits_bf16(model: Model, device: torch.device) -> bool:
    """Whether bfloat16 is the better choice for a model's networks on a device.

    Not for convolutions on several CPU threads: there they wait for each other by spinning, and where another
    program has one of the cores a step of a DCGAN took 4.6 s instead of 0.13 s in float32. On one thread bfloat16
    is 1.3 times as fast as float32, and a quiet machine may choose it by `--precision bf16`.
    """
    if not (model.bf16 and fast_bf16(device)):
        return False
    spins = device.type == "cpu" and torch.get_num_threads() > 1
    return not (spins and any(isinstance(module, CONVOLUTIONS) for module in model.modules()))


def autocast(device: torch.device, enabled: bool) -> Callable[[], AbstractContextManager[object]]:
    """A maker of contexts in which networks run in bfloat16; losses leave it for float32 by themselves."""
    if not enabled:
        return contextlib.nullcontext
    return lambda: torch.autocast(device.type, torch.bfloat16)


def set_seed(seed: int, device: torch.device) -> None:
    """Seed all random numbers of a training on that device."""
    if device.type == "cpu":  # `torch.manual_seed` looks for every other device, which takes 0.3 ms
        torch.default_generator.manual_seed(seed)
    else:
        torch.manual_seed(seed)


@functools.cache
def keep_memory() -> None:
    """Have the C library keep what is freed, for the next step to take; Linux with glibc only.

    By default it gives the end of its heap back to the system, which hands the same pages out again at the
    next step, cleared: about 5 % of the step of a convolutional VAE (nothing of a perceptron's).
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:  # another C library, which has no such setting
        return
    mallopt(M_MMAP_THRESHOLD, 32 << 20)  # from which on a piece is the system's own: the most it takes
    mallopt(M_TRIM_THRESHOLD, 1 << 30)
