"""A run is a folder: the only state there is.

    run.json                     recipe, spec, data, seed, environment, command
    log.jsonl                    one JSON object a line: {"step", "seconds", "split", figures ...}
    checkpoints/00001000/        weights.safetensors  ema.safetensors  state.pt  checksums.json
    samples/00001000.png         what the model makes, over time
    report.html                  one self-contained page
    prior/                       of a VQ-VAE: a run on its codes, whose model is its prior

A checkpoint appears whole or not at all (written beside, flushed, renamed); the last two, the one with the best
validation figure and the last that the doctor found healthy are kept, and each is verified by its checksums before a
byte of it is used. Nothing is ever unpickled.
"""

from __future__ import annotations

import contextlib
import copy
import json
import math
import os
import pickle
import shutil
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError
from safetensors.torch import load_model, save_model
from torch import nn

from .disk import flush, sha256, write_atomically
from .errors import UserError, missing_extra
from .header import FORMAT, JUDGED_BY, QUIET, Header, Record
from .plain import conform
from .recipe import Recipe
from .spec import Spec

KEPT = 2  # newest checkpoints, beside the best
UNDER_WAY = ".*.[0-9]*"  # what is written beside its place, until it is whole: .NAME.PROCESS
LOCK = "lock"
PRIOR = "prior"  # a run on the codes of this one
CODES = "code-images.npz"  # what it is trained on
ESTIMATOR = ("estimator.json", "estimator.safetensors")  # where a scikit-learn estimator wrote the run
OURS = ("run.json", "log.jsonl", "report.html", "checkpoints", "samples", "pictures", "tensorboard", PRIOR, CODES)


class Run:
    """One training run on disk.

    Attributes:
        path: the folder.
        header: what run.json says.
        recipe: resolved, as it was trained.
        spec: of the data it was trained on.
        networks: the user's own modules, where it was trained with such and they are at hand.
        healthy: the step of a checkpoint that is kept beside the newest and the best.
        ok: whether its training went on to its end, and was not ended by the doctor.
    """

    healthy: int | None = None
    ok: bool = True

    def __init__(self, path: Path, header: Mapping[str, Any], networks: Mapping[str, nn.Module] | None = None) -> None:
        self.path = path
        self.networks = dict(networks or {})
        self.header = header
        self.recipe = Recipe.from_json(header["recipe"])
        self.spec = Spec.from_json(header["spec"])
        self.board: Any = None

    @classmethod
    def create(cls, path: str | Path, header: Mapping[str, Any], *, overwrite: bool = False) -> Run:
        """A new run folder; `header` is what `run.json` shall say beside the format.

        Raises:
            UserError: something is at `path` and `overwrite` is false, or is no run of ours to overwrite.
        """
        path = Path(path)
        if path.exists() and not (path.is_dir() and set(os.listdir(path)) <= {LOCK}):
            if not overwrite:
                raise UserError(f"{path} exists. Choose another -o, --resume to go on, or --overwrite to start anew.")
            if not (path / "run.json").is_file():
                raise UserError(f"{path} is not a run folder, so it is not overwritten. Choose another -o.")
            _clear(path)
        path.mkdir(parents=True, exist_ok=True)
        write_atomically(path / "run.json", json.dumps({"format": FORMAT, **header}, indent=1).encode())
        return cls(path, header)

    @classmethod
    def open(cls, path: str | Path | Run, **networks: nn.Module) -> Run:
        """The run in a folder, or the run itself.

        Arguments:
            networks: the user's own modules, where it was trained with such; every task then takes this run.

        Raises:
            UserError: there is none, or its run.json cannot be read.
        """
        if isinstance(path, Run):
            return path
        path = Path(path)
        if not (path / "run.json").is_file():
            what = "is not a run folder (it has no run.json)" if path.exists() else "does not exist"
            raise UserError(f"{path} {what}. `lookalike train RECIPE DATA -o {path}` makes one.")
        file = path / "run.json"
        try:
            header = json.loads(file.read_text())
            conform(header, Header)
            return cls(path, header, networks)
        except (ValueError, RecursionError) as error:
            raise UserError(
                f"{file} is damaged ({str(error).rstrip('.')}). Restore it from a copy, or train anew; "
                "if a newer Lookalike made it, update."
            ) from None

    def mirror(self) -> None:
        """Write what is logged from now on for TensorBoard too, in the folder `tensorboard`.

        Raises:
            UserError: TensorBoard is not installed.
        """
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise missing_extra("tensorboard", "tensorboard", "--tensorboard") from None
        self.board = SummaryWriter(str(self.path / "tensorboard"))

    def log(self, record: Mapping[str, Any]) -> None:
        """Append one line to the log."""
        if self.board is not None:
            for name, value in record.items():
                if isinstance(value, int | float) and name != "step":
                    self.board.add_scalar(f"{record['split']}/{name}", value, record["step"])
            self.board.flush()
        path = self.path / "log.jsonl"
        try:
            with path.open("a") as file:
                file.write(json.dumps(record) + "\n")
        except OSError as error:
            raise UserError(f"cannot write to {path}: {error.strerror or error}. {self._go_on()}") from None

    def records(self) -> list[dict[str, Any]]:
        """The lines of the log; a line cut short by a kill, or that is none of ours, is left out."""
        path = self.path / "log.jsonl"
        found = []
        for line in path.read_text().splitlines() if path.exists() else []:
            with contextlib.suppress(json.JSONDecodeError, UserError):
                record = json.loads(line)
                conform(record, Record, "the log")
                found.append(record)
        return found

    def rewind(self, step: int) -> None:
        """Forget what was logged and drawn after `step`, so that a resumed run reads like an unbroken one."""
        for cut_short in [*self.path.glob(UNDER_WAY), *(self.path / "checkpoints").glob(UNDER_WAY)]:
            shutil.rmtree(cut_short) if cut_short.is_dir() else cut_short.unlink()
        kept = [json.dumps(record) + "\n" for record in self.records() if record["step"] <= step]
        write_atomically(self.path / "log.jsonl", "".join(kept).encode())
        for picture in (self.path / "samples").glob("*.png"):
            if picture.stem.isdecimal() and int(picture.stem) > step:
                picture.unlink()

    def save(self, step: int, model: nn.Module, ema: nn.Module, state: Mapping[str, Any]) -> None:
        """Write the checkpoint of a step, whole or not at all, and drop all but the last two, the best and the healthy.

        Arguments:
            model: as it is being trained.
            ema: the average of its weights, which is what `load` gives.
            state: optimisers and whatever else a resume needs: tensors and plain values.

        Raises:
            UserError: the disk is full or cannot be written; what was saved before is untouched.
        """
        folder = self.path / "checkpoints" / f"{step:08d}"
        beside = folder.with_name(f".{folder.name}.{os.getpid()}")
        try:
            beside.mkdir(parents=True, exist_ok=True)
            save_model(model, str(beside / "weights.safetensors"))
            save_model(ema, str(beside / "ema.safetensors"))
            with (beside / "state.pt").open("wb") as file:
                torch.save(dict(state), file)
            sums = {file.name: sha256(file) for file in sorted(beside.iterdir())}
            (beside / "checksums.json").write_text(json.dumps(sums))
            for path in beside.iterdir():
                flush(path)
            if folder.exists():
                shutil.rmtree(folder)
            beside.rename(folder)
            flush(folder.parent)
        except (OSError, SafetensorError) as error:
            raise UserError(f"cannot save step {step} to {self.path}: {error}. {self._go_on()}") from None
        finally:
            shutil.rmtree(beside, ignore_errors=True)
        kept = {self.healthy, *self._judged()[:1]}
        for old in self.checkpoints()[:-KEPT]:
            if int(old.name) not in kept:
                shutil.rmtree(old)

    def _go_on(self) -> str:
        last = self.checkpoints()[-1:]
        kept = f"the checkpoint of step {int(last[0].name)} is whole" if last else "no step was saved before"
        return f"Nothing else was touched: {kept}. Free some space and go on with --resume."

    def checkpoints(self) -> list[Path]:
        """The checkpoints there are, oldest first."""
        return sorted(p for p in (self.path / "checkpoints").glob("[0-9]*") if p.is_dir() and p.name.isdecimal())

    def best(self) -> Path | None:
        """The checkpoint with the best validation figure, if a later figure was worse; None: the newest will do."""
        steps = self._judged()
        if not steps or steps[0] == max(steps):
            return None
        folder = self.path / "checkpoints" / f"{steps[0]:08d}"
        return folder if folder.is_dir() else None

    def _judged(self) -> list[int]:
        """The steps at which a validation figure was measured, the best first."""
        figures = {
            record["step"]: record[name]
            for record in self.records()
            for name in JUDGED_BY
            if record["split"] == "valid" and name in record
        }
        return sorted(figures, key=lambda step: (not math.isfinite(figures[step]), figures[step]))

    def newest(self) -> tuple[Path | None, list[str]]:
        """The newest checkpoint that is whole (None where no step was saved), and a sentence on each that is not.

        Raises:
            UserError: there are checkpoints and all are damaged.
        """
        said: list[str] = []
        for folder in reversed(self.checkpoints()):
            fault = _fault(folder)
            if fault is None:
                return folder, said
            said.append(f"the checkpoint {folder} is damaged ({fault}) and was left out")
        if said:
            raise UserError(f"no checkpoint of {self.path} is whole: {'; '.join(said)}. Restore one, or train anew.")
        return None, []

    def read(self, folder: Path, model: nn.Module, ema: nn.Module) -> dict[str, Any]:
        """Fill both models from a checkpoint that `newest` gave, and return its state."""
        try:
            state = torch.load(folder / "state.pt", weights_only=True, map_location="cpu")
        except (pickle.UnpicklingError, RuntimeError, EOFError):
            raise UserError(
                f"{folder / 'state.pt'} is no state that Lookalike wrote, so it is not opened. "
                "Restore the checkpoint from a copy, or train anew."
            ) from None
        _fill(model, folder / "weights.safetensors")
        _fill(ema, folder / "ema.safetensors")
        return state

    def load_model(self, **networks: nn.Module) -> tuple[Any, list[str]]:
        """The trained model in eval mode, with the averaged weights, and a sentence on each damaged checkpoint.

        Where the validation figure rose again in training, and it is what the model is trained for, the weights are
        those of its best milestone.

        Arguments:
            networks: the user's own modules, where the run was trained with such and does not have them at hand.
        """
        networks = copy.deepcopy({**self.networks, **networks})  # the user's stay as they are
        own = set(self.header["networks"])
        if own != set(networks):
            if not own:
                raise UserError(f"{self.path} was trained without networks of your own: load it without any.")
            raise UserError(
                f"{self.path} was trained with your own {', '.join(sorted(own))}: in Python, "
                f"lookalike.Run.open(path, {', '.join(f'{name}=...' for name in sorted(own))}) takes them again, "
                "and gives a run for `load` and for every task."
            )
        folder, said = self.newest()
        if folder is None:
            raise UserError(
                f"{self.path} has no checkpoint yet: wait for its training, or go on with "
                f"`lookalike train ... -o {self.path} --resume`."
            )
        model = self.recipe.model(self.spec, **networks)
        best = self.best() if model.keeps_best else None
        if best is not None and (fault := _fault(best)):
            said.append(f"the best checkpoint {best} is damaged ({fault}): this is the newest")
            best = None
        _fill(model, (best or folder) / "ema.safetensors")
        prior = self.path / PRIOR
        if hasattr(model, "attach") and (prior / "run.json").is_file() and Run.open(prior).checkpoints():
            of_codes, also = Run.open(prior).load_model()
            model.attach(of_codes)
            said += also
        return model.eval(), said

    def json(self) -> dict[str, Any]:
        """Where it is and how far it came, as plain values."""
        records = self.records()
        last = {split: [r for r in records if r["split"] == split][-1:] for split in ("train", "valid")}
        return {
            "run": str(self.path),
            "recipe": self.recipe.name,
            "data": self.header["data"]["name"],
            "step": int(self.checkpoints()[-1].name) if self.checkpoints() else 0,
            "figures": {split: found[0] for split, found in last.items() if found},
            "files": sorted(str(p) for p in self.path.iterdir() if p.suffix in (".html", ".json", ".jsonl")),
        }

    def __str__(self) -> str:
        told = self.json()
        figures = told["figures"].get("valid", told["figures"].get("train", {}))
        beside = (*Record.__annotations__, *QUIET)
        words = "  ".join(f"{k} {v:.4g}" for k, v in figures.items() if not k.startswith(beside))
        return f"{self.path}: {self.recipe.name} on {told['data']}, {told['step']} steps  {words}".rstrip()


@contextlib.contextmanager
def held(path: str | Path) -> Iterator[None]:
    """Hold a run folder while it is trained; the hold goes with the process, however it ends.

    Raises:
        UserError: a living process trains this run, or the folder cannot be made.
    """
    path = Path(path)
    try:
        made = not path.exists()
        fresh = made or set(os.listdir(path)) <= {LOCK}
        path.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path / LOCK, timeout=0)
        lock.acquire()
    except Timeout:
        raise UserError(
            f"{path} is being trained by another process. Wait for it, stop it, or choose another -o."
        ) from None
    except OSError as error:
        raise UserError(f"cannot write to {path}: {error.strerror or error}. Choose another -o.") from None
    try:
        yield
    except BaseException:
        if fresh and not any((path / "checkpoints").glob("[0-9]*")):  # nothing came of it
            _clear(path)
        raise
    finally:
        lock.release()
        if not (path / "run.json").exists():
            (path / LOCK).unlink(missing_ok=True)
            if made and path.is_dir() and not any(path.iterdir()):
                path.rmdir()


def _clear(path: Path) -> None:
    """Remove what a training made of a run folder; what else lies there is the user's."""
    for old in (path / name for name in (*OURS, *ESTIMATOR)):
        shutil.rmtree(old) if old.is_dir() else old.unlink(missing_ok=True)


def load(path: str | Path | Run, *, device: str = "cpu", **networks: nn.Module) -> Any:
    """The trained model of a run: an `nn.Module` in eval mode with the averaged weights.

    Arguments:
        path: the run folder.
        device: where to put it.
        networks: the user's own modules, where the run was trained with such.
    """
    run = Run.open(path)
    model, said = run.load_model(**networks)
    for sentence in said:
        warnings.warn(sentence, stacklevel=2)
    return model.to(device)


def _fill(model: nn.Module, weights: Path) -> None:
    """Load weights into a model.

    Raises:
        UserError: they are those of another model: the run was edited by hand.
    """
    try:
        load_model(model, str(weights))
    except (RuntimeError, SafetensorError):
        raise UserError(
            f"{weights} does not fit the model that run.json describes. Restore run.json from a copy, or train anew."
        ) from None


def _fault(folder: Path) -> str | None:
    """What is wrong with a checkpoint, or None."""
    try:
        sums = json.loads((folder / "checksums.json").read_text())
        wrong = [name for name, digest in sums.items() if sha256(folder / name) != digest]
    except (OSError, ValueError, AttributeError) as error:
        return f"{type(error).__name__}: {error}"
    missing = {"weights.safetensors", "ema.safetensors", "state.pt"} - set(sums)
    if missing:
        return f"no checksum of {', '.join(sorted(missing))}"
    return f"{', '.join(wrong)} does not have the checksum it was saved with" if wrong else None
