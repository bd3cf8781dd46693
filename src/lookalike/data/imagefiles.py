"""Picture files to pictures of one shape: every file decoded once, in threads, and what was done to it said.

That one pass finds the damaged files, the channels and the levels, and takes each item's digest. Where
all of it fits in memory it stays there as uint8; otherwise files are decoded again as they are taken.
Both ways give the same bytes, the same notes and the same fingerprint.
"""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple, TypeVar

import numpy as np
import torch
from PIL import UnidentifiedImageError

from ..errors import UserError
from .arrays import classes_of
from .base import InMemory, Source
from .decoding import DAMAGE, FACTS, Decoding, Header, decode, probe, regrid
from .files import METADATA, Files, labelled
from .images import Pictures, count, default_size, digest, parallel

TOLERATED = 0.05
"""The share of damaged files that is skipped; more is an error."""

R = TypeVar("R")


def file_pictures(
    files: Files,
    *,
    label: str | None = None,
    size: tuple[int, int] | None = None,
    channels: int | None = None,
    budget: int | None = None,
) -> Pictures:
    """Pictures of a folder or an archive.

    Arguments:
        label: the column of the metadata that holds the label.
        size: height and width; None for the most common size, or a small square where there is none.
        channels: 1 or 3; None for 1 where every picture is grey, else 3.
        budget: bytes of memory the decoded pictures may take; None for a quarter of what is free.

    Raises:
        UserError: more than 5 % of the files are damaged.
    """
    if channels not in (None, 1, 3):
        raise UserError(f"{files.where} holds picture files, which can have 1 or 3 channels, but not {channels}.")
    found = labelled(files, label)
    names = found.names
    with contextlib.ExitStack() as stack:
        stack.callback(files.close)
        headers = [h for h in parallel(lambda name: _try(probe, files, name), names) if isinstance(h, Header)]
        sizes = Counter((header.height, header.width) for header in headers)
        grey = sum(header.grey for header in headers)
        target = size or default_size(sizes)
        decoded_as = channels or (1 if grey == len(headers) else 3)
        held = len(names) * decoded_as * target[0] * target[1] <= (free_memory() // 4 if budget is None else budget)
        items = np.empty((len(names), decoded_as, *target) if held else 0, np.uint8)
        reads = _read(files, names, target, decoded_as, items if held else None)
        damaged = {name: read for name, read in zip(names, reads, strict=True) if isinstance(read, str)}
        notes = found.notes + _said_of_damage(damaged, len(names), files.where)
        if not held:
            stack.pop_all()
    good = [i for i, read in enumerate(reads) if isinstance(read, _Read)]
    sound = [read for read in reads if isinstance(read, _Read)]
    facts = Counter(fact for read in sound for fact in read.facts)
    C = 1 if channels is None and facts["grey"] == len(sound) else decoded_as
    levels = 2 if facts["binary"] == len(sound) else 256
    notes += _said(facts, len(sound), target, files)
    if C == 1 and channels == 1 and grey < len(headers):
        notes.append(f"{len(headers) - grey} of {len(sound)} pictures were turned to grey")
    elif C == 3 and facts["grey"]:
        notes.append(f"{facts['grey']} of {len(sound)} pictures are grey and were given three equal channels")
    y, classes, said = classes_of([found.labels[i] for i in good] if found.labels else None, len(good), files.where)
    kept = [names[i] for i in good]
    source: Source = Decoding(kept, files.opened, target, C, levels)
    if held:
        x = torch.from_numpy(items[:, :C] if len(good) == len(names) else items[good, :C]).contiguous()
        source = InMemory(regrid(x, 256, levels))
    digests = [read.digest for read in sound]
    return Pictures(source, (C, *target), levels, digests, y, classes, (*notes, *said), names=tuple(kept))


class _Read(NamedTuple):
    """What is kept of a file that was decoded."""

    facts: frozenset[str]
    digest: bytes


def _read(
    files: Files, names: list[str], size: tuple[int, int], channels: int, items: np.ndarray | None
) -> list[_Read | str]:
    """Decodes every file, into `items` where given; of each, what is known of it or why it is damaged."""

    def read(i: int) -> _Read | str:
        decoded = _try(lambda file: decode(file, size, channels), files, names[i])
        if isinstance(decoded, str):
            return decoded
        if items is not None:
            items[i] = decoded.pixels
        return _Read(decoded.facts, digest(decoded.pixels))

    return parallel(read, range(len(names)))


def free_memory() -> int:
    """Bytes of memory that can be had without swapping; 2 GiB where the system does not say."""
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        for line in meminfo.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    return 2 * 2**30


def _try(work: Callable[[BinaryIO], R], files: Files, name: str) -> R | str:
    """`work` of a file, or why it is damaged."""
    try:
        with files.opened(name) as file:
            return work(file)
    except UnidentifiedImageError:
        return "no picture"
    except DAMAGE as error:
        return str(error) or type(error).__name__


def _said_of_damage(damaged: dict[str, str], n: int, where: str) -> list[str]:
    """What to say of the damaged files; a UserError where they are too many."""
    first = "; ".join(f"{name} ({why})" for name, why in list(damaged.items())[:3])
    if len(damaged) > TOLERATED * n:
        raise UserError(
            f"{len(damaged)} of {n} pictures in {where} cannot be read, more than {TOLERATED:.0%}; "
            f"mend or remove them. The first: {first}."
        )
    return [f"{len(damaged)} of {n} pictures cannot be read and were skipped: {first}"] if damaged else []


def _said(facts: Counter[str], n: int, size: tuple[int, int], files: Files) -> list[str]:
    """What was done to n sound pictures and to what lies beside them, a sentence each."""
    if facts["binary"] == n:
        del facts["1-bit"]
    notes = [
        f"{facts[fact]} of {n} pictures {words.format(size=f'{size[0]}x{size[1]}')}"
        for fact, words in FACTS.items()
        if facts[fact]
    ]
    others = Counter(
        PurePosixPath(o).suffix or "no suffix" for o in files.others if PurePosixPath(o).name not in METADATA
    )
    if others:
        kinds = ", ".join(f"{count} {suffix}" for suffix, count in others.most_common(3))
        notes.append(f"{count(others.total(), 'file')} ignored, as no picture: {kinds}")
    return notes
