"""Pictures to code and back: as many bits as the model's own -log2 p(x), and the same pixels again.

    autoregressive    intensities in raster order, each by p(k | all before it), which the model's stepper gives
    variational       bits back: z is *decoded* from the code by q(z|x), which gives back -log2 q(z|x) bits; then x is
                      coded by p(x|z) and z by p(z): together -log2 p(x|z) p(z) / q(z|x), on average the bound

Both ways compute the same probabilities, in the same order, for the same pictures side by side: so the coder meets
them bit for bit. A machine that computes them otherwise cannot read the code; `arithmetic` tells before it tries.

Range and ANS coding by `constriction` (Bamler 2022, arXiv:2201.01741), probabilities rounded to 24 bits. Bits back
with ANS: Townsend et al. (2019), arXiv:1901.04866; a ladder's groups are taken one after the other.
The bits that z is decoded from are those of the pictures before, and as random as the model is good: a model that has
learnt little picks other z than q would, and its code differs from the bound, mostly to the shorter side.
Differs from the paper: z lies on a grid of equal steps, of which p(z) is the Gaussian's share, and not of equal p(z).
"""

from __future__ import annotations

import contextlib
import hashlib
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..errors import UserError, missing_extra
from ..models.approximate.vae.bound import Variational
from ..models.base import Model
from ..models.tractable.autoregressive.raster import Raster
from ..nn.likelihoods import Discrete

BLOCK = 256
"""Pictures side by side of an autoregressive model: as much memory as sampling so many."""
STEP = 2.0**-6
"""Of the grid of z: below the deviation of any posterior worth coding."""
REACH = 512
"""Steps of the grid to either side: 8 deviations of the prior."""

Told = Callable[[int, int], None]
"""How much is done, and of how much."""


class Coded(NamedTuple):
    """The code, and the bits that the model itself gives these pictures (of a bound, what it came to)."""

    code: bytes
    bits: float


class Way(ABC):
    """How pictures are coded by one kind of model; intensities k are int64, shape (N, C, H, W)."""

    @abstractmethod
    def encode(self, k: Tensor, told: Told) -> Coded:
        """The code of pictures."""

    @abstractmethod
    def decode(self, code: bytes, n: int, told: Told) -> Tensor:
        """The n pictures of a code."""

    @abstractmethod
    def arithmetic(self, n: int) -> str:
        """A fingerprint of how this machine computes the model for n pictures, 16 hex digits."""


def way_of(model: Model, run: str | Path) -> Way:
    """How that model codes pictures.

    Raises:
        UserError: it cannot, and which can.
    """
    if model.conditional:
        raise UserError(f"{run} was trained with labels, which a picture does not tell: train one without.")
    if isinstance(model, Raster):
        return _InOrder(model)
    if isinstance(model, Variational) and isinstance(model.likelihood, Discrete):
        return _BitsBack(model, model.likelihood)
    raise UserError(
        f"compressing takes an autoregressive or variational model of pictures; {run} holds {type(model).__name__}: "
        "train pixelcnn, pixelcnn++, pixelsnail or vae."
    )


def coder() -> Any:
    """The module `constriction`.

    Raises:
        UserError: it is not installed.
    """
    try:
        import constriction
    except ImportError:
        raise missing_extra("constriction", "codec", "compressing") from None
    return constriction


@contextlib.contextmanager
def _still() -> Iterator[None]:
    """One thread inside: how many there are changes the order of sums, and so the last bits of a probability."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            yield
    finally:
        torch.set_num_threads(threads)


Choose = Callable[[np.ndarray, Tensor | None], Tensor]
"""Told p(k) of one intensity of each picture, shape (n, levels), and which it is where known: which it is."""


class _InOrder(Way):
    """Intensity by intensity, by a queue: what is coded first is decoded first."""

    def __init__(self, model: Raster) -> None:
        self.model = model

    def encode(self, k: Tensor, told: Told) -> Coded:
        encoder = coder().stream.queue.RangeEncoder()
        family = coder().stream.model.Categorical(perfect=False)
        bits = 0.0

        def choose(probs: np.ndarray, known: Tensor | None) -> Tensor:
            nonlocal bits
            assert known is not None
            encoder.encode(known.numpy().astype(np.int32), family, probs)
            bits -= float(np.log2(np.take_along_axis(probs, known.numpy()[:, None], 1)).sum())
            return known

        with _still():
            for done in range(0, len(k), BLOCK):
                block = k[done : done + BLOCK]
                self._walk(len(block), choose, block)
                told(done + len(block), len(k))
        return Coded(_bytes(encoder.get_compressed()), bits)

    def decode(self, code: bytes, n: int, told: Told) -> Tensor:
        decoder = coder().stream.queue.RangeDecoder(_words(code))
        family = coder().stream.model.Categorical(perfect=False)

        def choose(probs: np.ndarray, _: Tensor | None) -> Tensor:
            return torch.from_numpy(decoder.decode(family, probs).astype(np.int64))

        blocks = []
        with _still():
            for done in range(0, n, BLOCK):
                blocks.append(self._walk(min(BLOCK, n - done), choose, None))
                told(min(done + BLOCK, n), n)
        return torch.cat(blocks)

    def arithmetic(self, n: int) -> str:
        digest, n = hashlib.sha256(), min(n, BLOCK)

        def choose(probs: np.ndarray, _: Tensor | None) -> Tensor:
            digest.update(probs.tobytes())
            return (torch.arange(n) * 7 + int(probs.argmax()) % 5) % self.model.spec.levels  # something of every level

        with _still():
            self._walk(n, choose, None, rows=3)
        return digest.hexdigest()[:16]

    def _walk(self, n: int, choose: Choose, known: Tensor | None, rows: int | None = None) -> Tensor:
        """Every intensity of n pictures in order (of the first rows only), as `choose` says."""
        model, (C, H, W) = self.model, self.model.spec.shape
        k = torch.zeros(n, C, H, W, dtype=torch.int64)
        x = torch.zeros(n, C, H, W, dtype=model.door.precision.dtype)
        h = model.door.enter(x)
        step = model.network.stepper(n, None)
        for i in range(H if rows is None else min(rows, H)):
            for j in range(W):
                for c in range(C):
                    if c == 0 or model.likelihood.by_channel:
                        params = step(h, i, j, c)
                    probs = model.likelihood.log_pmf(params, x[:, :, i, j], c).double().softmax(1)
                    k[:, c, i, j] = choose(probs.numpy(), None if known is None else known[:, c, i, j])
                    x[:, c, i, j] = k[:, c, i, j].to(x.dtype) / (model.spec.levels - 1)
                    h[:, c, i, j] = model.door.enter(x[:, c, i, j])
        return k


class _BitsBack(Way):
    """Picture by picture, on a stack: what is coded last is decoded first."""

    def __init__(self, model: Variational, likelihood: Discrete) -> None:
        self.model, self.likelihood = model, likelihood
        stream = coder().stream
        self.stack = stream.stack.AnsCoder
        self.intensities = stream.model.Categorical(perfect=False)
        self.code = stream.model.QuantizedGaussian(-REACH, REACH)

    def encode(self, k: Tensor, told: Told) -> Coded:
        # The first z is decoded from something: from noise, which is part of the file.
        stack = self.stack(np.random.default_rng(0).integers(1, 2**32, self.model.latent // 2 + 16, np.uint32))
        bits = 0.0
        with _still():
            for i, item in enumerate(k):
                x = self._pixels(item)
                at = self.model.infer(self.model.read(x, None), None, lambda m, s, _: self._pop(stack, m, s))
                params = self.model.params(at.z, None)
                log_w = self.model.likelihood.log_prob(x, params) + at.log_p - at.log_q
                bits -= log_w.item() / math.log(2)
                stack.encode_reverse(item.flatten().numpy().astype(np.int32), self.intensities, self._probs(params))
                self._push(stack, at.z, torch.zeros_like(at.z), torch.zeros_like(at.z))
                told(i + 1, len(k))
        return Coded(_bytes(stack.get_compressed()), bits)

    def decode(self, code: bytes, n: int, told: Told) -> Tensor:
        stack = self.stack(_words(code))
        items: list[Tensor] = []
        still = torch.zeros(1, self.model.latent, dtype=self.model.door.precision.dtype)
        with _still():
            for i in range(n):
                z = self._pop(stack, still, still)
                params = self.model.params(z, None)
                k = stack.decode(self.intensities, self._probs(params))
                items.append(torch.from_numpy(k.astype(np.int64)).view(self.model.spec.shape))
                x = self._pixels(items[-1])
                picked: list[tuple[Tensor, Tensor, Tensor]] = []

                def known(mean: Tensor, log_var: Tensor, group: slice, z: Tensor = z, to: Any = picked) -> Tensor:
                    to.append((z[:, group], mean, log_var))
                    return z[:, group]

                self.model.infer(self.model.read(x, None), None, known)
                for part, mean, log_var in reversed(picked):  # on a stack the last comes first
                    self._push(stack, part, mean, log_var)
                told(i + 1, n)
        return torch.stack(items[::-1])

    def arithmetic(self, n: int) -> str:
        digest = hashlib.sha256()
        with _still():
            k = torch.arange(self.model.spec.dims).view(self.model.spec.shape) % self.model.spec.levels
            at = self.model.infer(self.model.read(self._pixels(k), None), None, lambda mean, *_: mean)
            for tensor in (at.mean, at.log_var, self.model.params(at.z.round(), None)):
                digest.update(tensor.numpy().tobytes())
        return digest.hexdigest()[:16]

    def _pixels(self, k: Tensor) -> Tensor:
        """One picture as the model takes it, shape (1, C, H, W)."""
        return k[None].to(self.model.door.precision.dtype) / (self.model.spec.levels - 1)

    def _probs(self, params: Tensor) -> np.ndarray:
        """p of every level at every place, shape (dims, levels)."""
        return self.likelihood.log_pmfs(params)[0].double().softmax(0).flatten(1).T.contiguous().numpy()

    def _pop(self, stack: Any, mean: Tensor, log_var: Tensor) -> Tensor:
        """A group of z on the grid, shape (1, width), decoded by N(mean, exp(log_var))."""
        steps = stack.decode(self.code, *_in_steps(mean, log_var))
        return STEP * torch.from_numpy(steps.astype(np.float64)).to(mean.dtype).view(mean.shape)

    def _push(self, stack: Any, z: Tensor, mean: Tensor, log_var: Tensor) -> None:
        steps = (z / STEP).round().flatten().numpy().astype(np.int32)
        stack.encode_reverse(steps, self.code, *_in_steps(mean, log_var))


def _in_steps(mean: Tensor, log_var: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation in steps of the grid, each (width,), the latter never so small that no step has a share."""
    deviation = (0.5 * log_var.double()).exp() / STEP
    return (mean.double() / STEP).flatten().numpy(), deviation.clamp(min=0.01).flatten().numpy()


def _bytes(words: np.ndarray) -> bytes:
    return words.astype("<u4").tobytes()


def _words(code: bytes) -> np.ndarray:
    return np.frombuffer(code[: len(code) // 4 * 4], "<u4").astype(np.uint32)
