"""Pictures to a file of code, by a trained autoregressive or variational model: nothing is lost."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image, features
from torch import Tensor

from ..data import DATASETS, open_data
from ..data.decoding import DAMAGE, FACTS, decode
from ..data.files import open_files
from ..errors import UserError
from ..models.base import Explicit
from ..pictures import to_bytes
from ..report import Report
from ..run import Run
from ..spec import Spec
from ._codec import coder, way_of
from ._common import open_run
from ._container import Header, digest_of, fingerprint, packed
from ._output import counter, output, write


def compress(
    run: str | Path | Run,
    files: tuple[str, ...],
    *,
    out: Path | None = None,
    beside: bool = True,
    overwrite: bool = False,
) -> Report:
    """Write pictures as a file as small as the model finds them likely, from which `decompress` makes them again.

    The answer says how many bits the code takes and how many the model's own -log2 p(x) asks for, beside what PNG,
    WebP and JPEG XL make of the same pictures.

    Example:
        lookalike compress runs/digits scans/ more/seven.png -o scans.lka
        lookalike compress runs/mnist mnist-static -o test.lka

    Arguments:
        run: folder of a trained autoregressive or variational model (pixelcnn, pixelsnail, vae, ladder-vae, ...).
        files: pictures, or folders or archives of them, as large and as deep as the model's; or the name of a data
            set or a file of arrays, whose test split is taken.
        out: where to, a name that ends in .lka; by default pictures.lka in the run folder.
        beside: say what other formats make of the same pictures.
        overwrite: replace what is there.

    Raises:
        UserError: the model cannot code pictures; a picture does not fit it without loss; the output exists.
    """
    coder()
    opened = Run.open(run)
    path, _ = output(out, opened.path / "pictures.lka", (".lka",), overwrite=overwrite)
    _, model, _ = open_run(opened, "cpu")
    way = way_of(model, opened.path)
    k, names = _read(files, opened.spec)
    coded = way.encode(k, counter("coding"))
    header: Header = {
        "run": str(opened.path),
        "weights": fingerprint(model),
        "arithmetic": way.arithmetic(len(k)),
        "torch": torch.__version__,
        "n": len(k),
        "names": names,
        "pixels": digest_of(k),
    }
    content = packed(header, coded.code)
    write(path, content)
    told = "-log2 p(x)" if isinstance(model, Explicit) and model.exact else "-log2 of the bound on p(x)"
    sizes: dict[str, float] = {"this file": len(content), "of it code": len(coded.code), told: coded.bits / 8}
    sizes |= _beside(k, opened.spec) if beside else {}
    raw = k.numel() * (opened.spec.levels - 1).bit_length() / 8  # as few bits for each as their levels need
    rows = [
        {"": name, "bytes": round(size), "bits/dim": 8 * size / k.numel(), "share of raw": size / raw}
        for name, size in sizes.items()
    ]
    return Report(
        title=f"{len(k)} pictures by {opened.path}: {len(content):,} bytes",
        facts={"run": str(opened.path), "n": len(k), "bytes": len(content), "bits_by_the_model": coded.bits},
        rows=rows,
        files=[str(path)],
    )


def _read(files: Sequence[str], spec: Spec) -> tuple[Tensor, list[str]]:
    """Intensities, int64, shape (N, C, H, W), and the names of the files they came from, if they were files."""
    files = [files] if isinstance(files, str) else files
    if not files:
        raise UserError("compress: name the pictures, or the folder they are in.")
    only = str(files[0])
    if len(files) == 1 and (only in DATASETS or Path(only).suffix in (".npy", ".npz", ".gz") or "idx" in only):
        return _of_data(only, spec), []
    read: list[Tensor] = []
    names: list[str] = []
    for given in files:
        path = Path(given).expanduser()
        if not path.exists():
            raise UserError(f"there is no file or folder {str(given)!r}.")
        found = open_files(path)
        for name in found.names:
            with found.opened(name) as file:
                read.append(_exactly(file, f"{path}/{name}" if path.is_dir() else str(path), spec))
            names.append(name)
        found.close()
    if len(set(names)) < len(names):
        twice = next(name for i, name in enumerate(names) if name in names[:i])
        raise UserError(f"two pictures are named {twice}: compress their folder as one, so that names differ.")
    return torch.stack(read), names


def _exactly(file: Any, name: str, spec: Spec) -> Tensor:
    """The intensities of one picture file, which must be what the model knows as it is."""
    C, H, W = spec.shape
    fit = f"the model is for {H}x{W} pictures, {'grey' if C == 1 else 'RGB'}, of {spec.levels} levels"
    try:
        pixels, facts = decode(file, None, 3)
    except DAMAGE as error:
        raise UserError(f"{name} cannot be read as a picture ({error}).") from None
    done = [words for fact, words in FACTS.items() if fact in facts and fact != "1-bit"]
    if done:
        raise UserError(f"{name} would lose something: such pictures {done[0]}. Convert it first; {fit}.")
    if pixels.shape[1:] != (H, W) or (C == 1 and "grey" not in facts):
        shape = f"{pixels.shape[1]}x{pixels.shape[2]}{'' if 'grey' in facts else ' and in colour'}"
        raise UserError(f"{name} is {shape}, but {fit}. Nothing is resized here.")
    given = torch.from_numpy(pixels[:C].copy())
    k = (given.double() * (spec.levels - 1) / 255).round()
    if ((k * 255 / (spec.levels - 1)).round() != given).any():
        raise UserError(f"{name} has intensities between those of the model: {fit}. Train on pictures like it.")
    return k.long()


def _of_data(name: str, spec: Spec) -> Tensor:
    """Intensities of the test split of a data set or a file of arrays."""
    data = open_data(name, like=spec)
    if data.test.binarize == "dynamic":
        raise UserError(f"{name} is made binary anew each time it is read, so there is nothing to give back.")
    for note in data.notes:
        if "resized" in note or "levels" in note or "grey" in note:
            raise UserError(f"{name} does not fit the model without loss: {note}.")
    x = torch.cat([x for x, _ in data.test.all()])
    return (x * (spec.levels - 1)).round().long()


def _beside(k: Tensor, spec: Spec) -> dict[str, float]:
    """Bytes of the same pictures in other formats, each by itself, and all on one sheet, which spares their headers."""
    x = k.float() / (spec.levels - 1)
    singles = [_picture(pixels, spec) for pixels in to_bytes(x)]
    columns = max(1, round(len(k) ** 0.5))
    C, H, W = spec.shape
    padded = torch.cat([x, x.new_zeros(-len(k) % columns, C, H, W)])
    sheet = padded.unflatten(0, (-1, columns)).permute(2, 0, 3, 1, 4).reshape(1, C, -1, columns * W)
    whole = [_picture(to_bytes(sheet)[0], spec)]
    formats: dict[str, dict[str, Any]] = {"PNG": {"optimize": True}}
    if features.check("webp"):
        formats["WebP"] = {"lossless": True, "quality": 100, "method": 6}
    try:
        import pillow_jxl  # noqa: F401  (a plug-in: importing it is what adds the format)

        formats["JXL"] = {"lossless": True, "effort": 7}
    except ImportError:
        pass
    found: dict[str, float] = {}
    for name, options in formats.items():
        found[f"{name}, a file each"] = _bytes(singles, name, options)
        found[f"{name}, one sheet"] = _bytes(whole, name, options)
    return found


def _picture(pixels: Any, spec: Spec) -> Image.Image:
    picture = Image.fromarray(pixels.squeeze(2) if pixels.shape[2] == 1 else pixels)
    return picture.convert("1", dither=Image.Dither.NONE) if spec.levels == 2 and spec.shape[0] == 1 else picture


def _bytes(pictures: Iterable[Image.Image], name: str, options: dict[str, Any]) -> float:
    total = 0
    for picture in pictures:
        content = io.BytesIO()
        shown = picture if name == "PNG" else picture.convert("L" if picture.mode == "1" else picture.mode)
        shown.save(content, name, **options)
        total += content.tell()
    return total
