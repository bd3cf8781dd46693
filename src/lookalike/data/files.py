"""Folders and archives of pictures: which files, in which classes, and their bytes; nothing is extracted.

The names of the folders are the classes. A `metadata.csv` or `metadata.jsonl` beside the pictures, with a
`file_name` in each row, names them instead: the convention of imagefolder in Hugging Face `datasets`.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import lzma
import os
import shutil
import tarfile
import tempfile
import threading
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from ..errors import UserError, nearest
from .decoding import SUFFIXES

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2", ".tbz2")
METADATA = ("metadata.csv", "metadata.jsonl")

BOMB_RATIO = 200
"""How many times its size an honest archive may unpack to, beyond BOMB_FLOOR bytes."""

BOMB_FLOOR = 2**30
DAMAGED_ARCHIVE = (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, lzma.LZMAError, OSError)


@dataclass(frozen=True)
class Files:
    """Picture files of a folder or an archive.

    Arguments:
        where: how the user named it.
        names: of the pictures, relative to it, sorted.
        others: names of what else is there.
        opened: the bytes of the file of a name; safe to call from several threads.
        close: the archive, after which nothing more can be opened.
    """

    where: str
    names: tuple[str, ...]
    others: tuple[str, ...]
    opened: Callable[[str], BinaryIO]
    close: Callable[[], None]


def open_files(path: Path) -> Files:
    """The picture files of a folder or an archive, or a picture file by itself.

    Raises:
        UserError: it cannot be read, holds no picture, or is unsafe: members that point outside of it, or
            that unpack to far more than its own size.
    """
    if path.is_dir():
        files = _open_folder(path)
    elif path.name.lower().endswith(SUFFIXES):
        files = _files(path, [path.name], lambda _: path.open("rb"), lambda: None)
    else:
        try:
            files = _open_zip(path) if path.suffix.lower() == ".zip" else _open_tar(path)
        except DAMAGED_ARCHIVE as error:
            raise UserError(f"{path} cannot be read as an archive; it is damaged or cut short ({error}).") from None
    if not files.names:
        kinds = Counter(PurePosixPath(name).suffix or "no suffix" for name in files.others)
        found = ", ".join(f"{count} {suffix}" for suffix, count in kinds.most_common(3))
        found = f", but {found}" if found else ""
        raise UserError(f"{path} holds no pictures{found}; pictures end in {', '.join(SUFFIXES)}.")
    return files


def refuse_bomb(where: str | Path, unpacked: int, packed: int) -> None:
    """A UserError where `packed` bytes claim to unpack to so many that no honest data does."""
    if unpacked > max(BOMB_FLOOR, BOMB_RATIO * packed):
        raise UserError(
            f"{where} unpacks to more than {BOMB_RATIO} times its size, as a decompression bomb does; "
            "if you trust it, unpack it yourself and give the folder."
        )


def _open_folder(root: Path) -> Files:
    found: list[str] = []
    seen: set[tuple[int, int]] = set()
    pending = [(root, "")]
    while pending:
        folder, prefix = pending.pop()
        try:
            status = folder.stat()
            if (status.st_dev, status.st_ino) in seen:  # a symbolic link back to where we have been
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_dir() and not _hidden(entry.name):
                        pending.append((folder / entry.name, f"{prefix}{entry.name}/"))
                    elif entry.is_file():
                        found.append(prefix + entry.name)
        except OSError as error:
            raise UserError(f"{folder} cannot be read: {error.strerror}.") from None
    return _files(root, found, lambda name: (root / name).open("rb"), lambda: None)


def _open_zip(path: Path) -> Files:
    with contextlib.ExitStack() as stack:
        archive = stack.enter_context(zipfile.ZipFile(path))
        members = {info.filename: info for info in archive.infolist() if not info.is_dir()}
        for name, info in members.items():
            _refuse_escape(path, name)
            if info.flag_bits & 1:
                raise UserError(f"{path} is encrypted; unpack it yourself and give the folder.")
        refuse_bomb(path, sum(info.file_size for info in members.values()), path.stat().st_size)
        close = stack.pop_all().close
    return _files(path, list(members), lambda name: io.BytesIO(archive.read(name)), close)


def _open_tar(path: Path) -> Files:
    """A plain tar is read in place; a compressed one, which has no places, from a copy without a name."""
    plain = path.suffix.lower() == ".tar"
    places: dict[str, tuple[int, int]] = {}
    others: list[str] = []
    unpacked = 0
    with contextlib.ExitStack() as stack:
        store: BinaryIO = stack.enter_context(path.open("rb") if plain else _nameless())
        archive = stack.enter_context(tarfile.open(path, "r:" if plain else "r|*"))
        for member in archive:
            _refuse_escape(path, member.name)
            unpacked += member.size
            refuse_bomb(path, unpacked, path.stat().st_size)
            content = archive.extractfile(member) if member.isreg() else None
            if content is None:
                others += [] if member.isdir() else [f"{member.name} (link)"]
                continue
            places[member.name.removeprefix("./")] = (member.offset_data if plain else store.tell(), member.size)
            if not plain:
                shutil.copyfileobj(content, store)
        close = stack.pop_all().close
    lock = threading.Lock()

    def opened(name: str) -> BinaryIO:
        start, size = places[name]
        with lock:
            store.seek(start)
            return io.BytesIO(store.read(size))

    return _files(path, [*places, *others], opened, close)


def _nameless() -> BinaryIO:
    return tempfile.TemporaryFile()


def _refuse_escape(path: Path, name: str) -> None:
    if name.startswith(("/", "\\")) or ".." in name.replace("\\", "/").split("/") or name[1:2] == ":":
        raise UserError(f"{path} has a member that points outside of it, {name!r}; such an archive is not opened.")


def _hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _files(path: Path, found: list[str], opened: Callable[[str], BinaryIO], close: Callable[[], None]) -> Files:
    shown = sorted(name for name in found if not any(map(_hidden, name.split("/"))))
    pictures = tuple(name for name in shown if name.lower().endswith(SUFFIXES))
    return Files(str(path), pictures, tuple(sorted(set(shown) - set(pictures))), opened, close)


@dataclass(frozen=True)
class Labelled:
    """Names of pictures with the label of each; `labels` is empty where there are none."""

    names: list[str]
    labels: list[str]
    notes: list[str]


def labelled(files: Files, label: str | None = None) -> Labelled:
    """The pictures and their labels: of the metadata where there is one, else of the folders.

    Arguments:
        label: the column of the metadata that holds the label; None for `label`, where there is one.
    """
    metadata = next((name for name in files.others if PurePosixPath(name).name in METADATA), None)
    if metadata is not None:
        return _from_metadata(files, metadata, label)
    if label is not None:
        raise UserError(f"{files.where} has no metadata.csv to read the label {label!r} from; leave out label.")
    folders = [PurePosixPath(name).parent for name in files.names]
    common = PurePosixPath(os.path.commonpath(folders)) if folders[0].parts else PurePosixPath()
    labels = [str(folder.relative_to(common)) for folder in folders]
    if set(labels) == {"."}:
        return Labelled(list(files.names), [], [])
    if "." in labels:
        note = f"{labels.count('.')} pictures lie beside the sub-folders, so that these are not taken for classes"
        return Labelled(list(files.names), [], [note])
    return Labelled(list(files.names), labels, [])


def _from_metadata(files: Files, metadata: str, label: str | None) -> Labelled:
    where, folder = f"{files.where}: {metadata}", PurePosixPath(metadata).parent
    rows = _rows(files, metadata, where)
    columns = {column for row in rows for column in row}
    if "file_name" not in columns:
        raise UserError(f"{where} has no column 'file_name', which names the picture of each row.")
    column = "label" if label is None else label
    if label is not None and label not in columns:
        raise UserError(f"{where} has no column {label!r}.{nearest(label, columns)}")
    names = [str(folder / str(row["file_name"])) for row in rows]
    absent = sorted(set(names) - set(files.names))
    if absent:
        raise UserError(f"{where} names pictures that are not there ({len(absent)}), the first {absent[0]!r}.")
    notes = []
    if left := len(set(files.names) - set(names)):
        notes.append(f"{left} pictures that {metadata} does not name were left out")
    if column not in columns:
        return Labelled(names, [], notes)
    labels = ["" if row.get(column) is None else str(row[column]) for row in rows]
    if empty := labels.count(""):
        raise UserError(
            f"{where} lacks the label {column!r} in {empty} of {len(rows)} rows; fill it in or leave it out."
        )
    return Labelled(names, labels, notes)


def _rows(files: Files, metadata: str, where: str) -> list[dict[str, object]]:
    try:
        with files.opened(metadata) as file:
            text = file.read().decode("utf-8-sig")
        if metadata.endswith(".csv"):
            return [dict(row) for row in csv.DictReader(io.StringIO(text))]
        return [dict(json.loads(line)) for line in text.splitlines() if line.strip()]
    except (ValueError, TypeError, csv.Error) as error:
        raise UserError(f"{where} cannot be read ({error}).") from None
