"""Pictures again from a file that `compress` wrote, pixel for pixel."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import torch

from ..errors import UserError
from ..report import Report
from ..run import Run
from ._codec import coder, way_of
from ._common import open_run
from ._container import digest_of, fingerprint, unpacked
from ._output import FOLDER, counter, output, write_folder


def decompress(
    file: Path,
    *,
    out: Path | None = None,
    run: str | None = None,
    overwrite: bool = False,
) -> Report:
    """Make the pictures of a compressed file again.

    Example:
        lookalike decompress scans.lka -o scans-again/

    Arguments:
        file: that `lookalike compress` wrote.
        out: a folder, for a PNG file of each picture; by default the file's name without its ending.
        run: folder of the model it was written with; by default where it was then.
        overwrite: replace a folder of numbered pictures.

    Raises:
        UserError: the file is damaged; the model is another, or not there; this machine computes it otherwise.
    """
    coder()
    file = Path(file)
    header, code = unpacked(file)
    path, _ = output(out, file.with_suffix(""), (FOLDER,), overwrite=overwrite)
    where = run or header["run"]
    if not Path(where).exists():
        raise UserError(f"the model that {file} was written with is not at {where}: say where it is with --run.")
    opened, model, _ = open_run(Run.open(where), "cpu")
    way = way_of(model, opened.path)
    if fingerprint(model) != header["weights"]:
        raise UserError(f"{opened.path} is not the model that {file} was written with: name that one with --run.")
    if way.arithmetic(header["n"]) != header["arithmetic"]:
        raise UserError(
            f"this machine computes the model's probabilities otherwise than the one that wrote {file} "
            f"(torch {header['torch']} there, {torch.__version__} here), so it cannot be read here: "
            "decompress it where it was written."
        )
    k = way.decode(code, header["n"], counter("decoding"))
    if digest_of(k) != header["pixels"]:
        raise UserError(f"{file} did not decode to the pictures that were put in, so nothing was written.")
    write_folder(path, k.float() / (opened.spec.levels - 1), _safe(header["names"], file))
    return Report(
        title=f"{len(k)} pictures of {file}",
        facts={"run": str(opened.path), "n": len(k), "file": str(file)},
        files=[str(path)],
    )


def _safe(names: list[str], file: Path) -> list[str]:
    """The files' names with the ending .png, none of which may lead out of the folder: the file may be anyone's."""
    for name in names:
        parts = PurePosixPath(name).parts
        if not parts or PurePosixPath(name).is_absolute() or ".." in parts or "\\" in name:
            raise UserError(f"{file} names a picture {name!r}, which would be written elsewhere: it is not opened.")
    safe = [str(PurePosixPath(name).with_suffix(".png")) for name in names]
    return safe if len(set(safe)) == len(safe) else [f"{name}.png" for name in names]
