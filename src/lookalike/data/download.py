"""Files from the network: resumed where they broke off, and refused unless their content is what it should be.

The checksum is of the raw content, not of its packing: a file that was packed anew is as good. A file is
written beside its place (`.part`), checked, and then moved there in one step, so that what lies in its
place is whole.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import http.client
import logging
import os
import sys
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from ..errors import UserError

log = logging.getLogger(__name__)

Progress = Callable[[str, int, int], None]
"""Called with the file, the bytes there and the bytes in all (0 where not known)."""

TRIES = 5
CHUNK = 1 << 20
TIMEOUT = 30.0
PAUSE = 1.0


@dataclass(frozen=True)
class Remote:
    """A file of a data set.

    Arguments:
        file: its place below the data folder.
        url: where it is published.
        sha256: of its content, unpacked where the name ends in .gz.
        packed: whether `sha256` is of the file as published, where that of its content is not known.
    """

    file: str
    url: str
    sha256: str
    packed: bool = False

    def unpack(self, raw: bytes) -> bytes | None:
        """The content of the file's bytes, or None where it is not what it should be."""
        try:
            content = gzip.decompress(raw) if self.file.endswith(".gz") and not self.file.endswith(".tar.gz") else raw
        except (OSError, EOFError, zlib.error):
            return None
        return content if hashlib.sha256(raw if self.packed else content).hexdigest() == self.sha256 else None


def data_folder() -> Path:
    """Where downloads are kept: $LOOKALIKE_DATA, or lookalike/ in the user's cache folder."""
    if chosen := os.environ.get("LOOKALIKE_DATA"):
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "lookalike"


def contents(remotes: Sequence[Remote], progress: Progress | None = None) -> list[bytes]:
    """The contents of files, unpacked and verified; what is not there yet is downloaded.

    Raises:
        UserError: they are neither there nor to be had, or what is there has another content.
    """
    paths = [data_folder() / remote.file for remote in remotes]
    absent = [path for path in paths if not path.exists()]
    for remote, path in zip(remotes, paths, strict=True):
        if path in absent:
            try:
                _download(remote, path, progress)
            except _UnavailableError as error:
                names = ", ".join(path.name for path in absent if not path.exists())
                raise UserError(
                    f"{remote.url} cannot be downloaded ({error}); put {names} into {path.parent}, or set "
                    f"LOOKALIKE_DATA to the folder in which {path.parent.name}/ holds them."
                ) from None
    return [_checked(remote, path) for remote, path in zip(remotes, paths, strict=True)]


def _checked(remote: Remote, path: Path) -> bytes:
    content = remote.unpack(path.read_bytes())
    if content is None:
        raise UserError(f"{path} does not hold what {remote.url} does; remove it, to have it downloaded again.")
    return content


def _download(remote: Remote, path: Path, progress: Progress | None) -> None:
    part, lock = path.with_name(path.name + ".part"), path.with_name(path.name + ".part.lock")
    made = [folder for folder in path.parents if not folder.exists()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(lock):  # two processes that want one file: the second finds it there
            if path.exists():
                return
            log.info("downloading %s to %s", remote.url, path)
            _resume(remote.url, path, part, progress)
            if remote.unpack(part.read_bytes()) is None:
                part.unlink()
                raise UserError(
                    f"{remote.url} gave another content than it should, and it was not kept; "
                    f"get the file elsewhere and put it at {path}."
                )
            part.replace(path)
    except OSError as error:
        raise UserError(
            f"{path} cannot be written ({error.strerror or error}); set LOOKALIKE_DATA to a folder that can."
        ) from None
    finally:
        _tidy(part, lock, made)


def _tidy(part: Path, lock: Path, made: Sequence[Path]) -> None:
    """Leave nothing but what came of the network: a file, or the part of one to go on from."""
    with contextlib.suppress(OSError):
        if part.exists() and part.stat().st_size == 0:
            part.unlink()
        lock.unlink(missing_ok=True)
        for folder in made:
            folder.rmdir()  # not one that holds something


def _resume(url: str, path: Path, part: Path, progress: Progress | None) -> None:
    """Fills `part` from where it broke off, until several tries in a row bring nothing more."""
    part.touch()
    tries, why = 0, ""
    while tries < TRIES:
        start = part.stat().st_size
        try:
            with part.open("r+b") as file:
                for chunk, at, total in _chunks(url, start):
                    file.seek(at)
                    file.write(chunk)
                    if progress is not None:
                        progress(path.name, at + len(chunk), total)
                file.truncate(file.tell() or start)
            return
        except _BrokenOffError as error:
            why = str(error)
            tries = 0 if part.stat().st_size > start else tries + 1
            time.sleep(PAUSE * tries)
    raise _UnavailableError(why)


class _UnavailableError(Exception):
    """The network does not give the file."""


class _BrokenOffError(_UnavailableError):
    """It does not give all of it at once; trying again may help."""


def _chunks(url: str, start: int) -> Iterator[tuple[bytes, int, int]]:
    """Chunks of what is at `url` with the place of each and the size of the whole; from `start` on if it can."""
    request = urllib.request.Request(url, headers={"Range": f"bytes={start}-"} if start else {})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
            at = start if response.status == http.client.PARTIAL_CONTENT else 0
            length = response.headers.get("Content-Length")
            total = at + int(length) if length else 0
            while chunk := response.read1(CHUNK):
                yield chunk, at, total
                at += len(chunk)
    except urllib.error.HTTPError as error:
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and start:
            return  # all of it is there already: its checksum will tell
        kind = _BrokenOffError if error.code >= 500 else _UnavailableError
        raise kind(f"HTTP {error.code} {error.reason}") from None
    except urllib.error.URLError as error:
        raise _UnavailableError(str(error.reason)) from None
    except (OSError, http.client.HTTPException) as error:
        raise _BrokenOffError(str(error) or type(error).__name__) from None
    if at < total:
        raise _BrokenOffError(f"broken off after {at} of {total} bytes")
