"""Pictures as a file of arithmetic code: as many bits as the model's own -log2 p(x), and back to the same pixels.

    intensities in raster order, each by    p(k | all before it)  =  likelihood.log_pmf(step(...))

Both ways walk the pixels by the model's own stepper in blocks of the same pictures, so that the coder meets the
same probabilities bit for bit. Where a machine computes them otherwise the code cannot be read there: a fingerprint
of the arithmetic is in the header and compared first, and the digest of the pixels at the end.

    file  =  magic, length of the header, header (JSON, deflated), code, SHA-256 of all that (16 bytes)

Range coding by `constriction` (Bamler 2022, arXiv:2201.01741), probabilities rounded to 24 bits.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

import numpy as np
import torch
from torch import Tensor

from ..errors import UserError, missing_extra
from ..models.base import Model
from ..models.tractable.autoregressive.raster import Raster
from ..plain import conform

MAGIC = b"LKA1"
BLOCK = 256
"""Pictures coded side by side: a header's worth of lost bits each, and as much memory as sampling so many."""
DIGEST = 16


class Header(TypedDict):
    """What a file says of itself.

    Arguments:
        run: the folder of the model, where it was written. weights: SHA-256 of the model.
        arithmetic: fingerprint of how the machine computes it. torch: its version.
        n: pictures. names: of the files, relative; none where they had none.
        pixels: SHA-256 of all intensities.
    """

    run: str
    weights: str
    arithmetic: str
    torch: str
    n: int
    names: list[str]
    pixels: str


class Coded(NamedTuple):
    """The code, and the bits that the model itself gives these pictures."""

    code: bytes
    bits: float


Choose = Callable[[np.ndarray, Tensor | None], Tensor]
"""Told p(k) of one intensity of each picture, shape (n, levels), and which it is where known: which it is."""


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


def raster(model: Model, run: str | Path) -> Raster:
    """The model, if it can code pictures.

    Raises:
        UserError: it cannot, and which can.
    """
    if not isinstance(model, Raster):
        raise UserError(
            f"compressing takes an autoregressive model of pictures, and {run} holds {type(model).__name__}: "
            "train pixelcnn, pixelcnn++ or pixelsnail."
        )
    if model.conditional:
        raise UserError(f"{run} was trained with labels, which a picture does not tell: train one without.")
    return model


def encoded(model: Raster, k: Tensor, told: Callable[[int, int], None]) -> Coded:
    """The code of intensities k, int64, shape (N, C, H, W)."""
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
            _walk(model, len(k[done : done + BLOCK]), choose, k[done : done + BLOCK])
            told(min(done + BLOCK, len(k)), len(k))
    return Coded(encoder.get_compressed().astype("<u4").tobytes(), bits)


def decoded(model: Raster, code: bytes, n: int, told: Callable[[int, int], None]) -> Tensor:
    """The intensities of n pictures, int64, shape (n, C, H, W)."""
    words = np.frombuffer(code[: len(code) // 4 * 4], "<u4").astype(np.uint32)
    decoder = coder().stream.queue.RangeDecoder(words)
    family = coder().stream.model.Categorical(perfect=False)

    def choose(probs: np.ndarray, _: Tensor | None) -> Tensor:
        return torch.from_numpy(decoder.decode(family, probs).astype(np.int64))

    blocks = []
    with _still():
        for done in range(0, n, BLOCK):
            blocks.append(_walk(model, min(BLOCK, n - done), choose, None))
            told(min(done + BLOCK, n), n)
    return torch.cat(blocks)


@torch.inference_mode()
def _walk(model: Raster, n: int, choose: Choose, known: Tensor | None, rows: int | None = None) -> Tensor:
    """Every intensity of n pictures in order (of the first rows only), as `choose` says, int64, (n, C, H, W)."""
    C, H, W = model.spec.shape
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


def arithmetic(model: Raster, n: int) -> str:
    """A fingerprint of how this machine computes the model for blocks of n pictures, 16 hex digits."""
    digest = hashlib.sha256()

    def choose(probs: np.ndarray, _: Tensor | None) -> Tensor:
        digest.update(probs.tobytes())
        # A pattern with something of every level in it.
        return (torch.arange(n) * 7 + len(digest.hexdigest()) + int(probs.argmax()) % 5) % model.spec.levels

    with _still():
        _walk(model, n, choose, None, rows=3)
    return digest.hexdigest()[:16]


def fingerprint(model: Model) -> str:
    """SHA-256 of the weights, 64 hex digits."""
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)};".encode())
        digest.update(value.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def digest_of(k: Tensor) -> str:
    """SHA-256 of intensities, 64 hex digits."""
    return hashlib.sha256(k.to(torch.uint8).numpy().tobytes()).hexdigest()


def packed(header: Header, code: bytes) -> bytes:
    """The whole file."""
    told = zlib.compress(json.dumps(header).encode(), 9)
    whole = MAGIC + struct.pack("<I", len(told)) + told + code
    return whole + hashlib.sha256(whole).digest()[:DIGEST]


def unpacked(path: Path) -> tuple[Header, bytes]:
    """Header and code of a file.

    Raises:
        UserError: it is not there, is none of ours, or is damaged.
    """
    try:
        whole = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}.") from None
    if whole[: len(MAGIC)] != MAGIC:
        raise UserError(f"{path} was not written by `lookalike compress`.")
    body, digest = whole[:-DIGEST], whole[-DIGEST:]
    if len(body) < 8 or hashlib.sha256(body).digest()[:DIGEST] != digest:
        raise UserError(f"{path} is damaged or cut short: its checksum is not that of its content.")
    (length,) = struct.unpack("<I", body[4:8])
    try:
        header = json.loads(zlib.decompressobj().decompress(body[8 : 8 + length], 2**28))
        conform(header, Header, "the header")
    except (zlib.error, ValueError) as error:
        raise UserError(f"{path} is damaged: its header cannot be read ({error}).") from None
    return header, body[8 + length :]


@contextlib.contextmanager
def _still() -> Iterator[None]:
    """One thread inside: how many there are changes the order of sums, and so the last bits of a probability."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
