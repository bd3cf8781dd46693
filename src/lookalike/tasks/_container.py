"""The file that `compress` writes: what it holds, by which model, and checksums of all of it.

    file  =  magic, length of the header, header (JSON, deflated), code, SHA-256 of all that (16 bytes)

Nothing in it is run: it may come from anyone.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from pathlib import Path
from typing import TypedDict

import torch
from torch import Tensor

from ..errors import UserError
from ..models.base import Model
from ..plain import conform

MAGIC = b"LKA1"
DIGEST = 16
LONGEST = 2**28
"""Bytes that a header may unpack to."""


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
        header = json.loads(zlib.decompressobj().decompress(body[8 : 8 + length], LONGEST))
        conform(header, Header, "the header")
    except (zlib.error, ValueError) as error:
        raise UserError(f"{path} is damaged: its header cannot be read ({error}).") from None
    return header, body[8 + length :]
