"""Bad input as a user gives it, through the command line: one clear sentence, exit code 2, and nothing left behind.

What each reader of data refuses is pinned beside it in tests/data; here is that it comes through whole.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import lookalike
from lookalike.cli import run

TINY = ["--steps", "4", "--batch-size", "8", "--device", "cpu"]
TRAIN = ["train", "mlp-vae", "digits", *TINY, "-o", "new"]
ROWS = "\n".join(["size,kind,mass", *(f"{i % 7}.5,{'ab'[i % 2]},{i * i % 11}.25" for i in range(40))])

Refused = Callable[..., str]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run, and the table it was trained on."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "table.csv").write_text(ROWS)
    assert run(["train", "mlp-vae", str(folder / "table.csv"), *TINY, "-o", str(folder / "run")]) == 0
    return folder / "run"


@pytest.fixture(autouse=True)
def _in_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Refused:
    """The error of a command that must be refused: code 2, stdout empty, every file as it was before."""

    def refused(*arguments: str) -> str:
        capsys.readouterr()
        before = files()
        assert run(list(arguments)) == 2
        said = capsys.readouterr()
        lines = said.err.splitlines()
        at = next(i for i, line in enumerate(lines) if line.startswith("error: "))
        assert 1 <= len(lines) - at <= 3, said.err
        assert "Traceback" not in said.err
        assert said.out == ""
        assert files() == before
        return said.err

    return refused


def files() -> dict[str, bytes]:
    return {str(path): path.read_bytes() if path.is_file() else b"" for path in Path().rglob("*")}


def pictures(folder: str, n: int, **options: Any) -> None:
    Path(folder).mkdir(parents=True, exist_ok=True)
    for i in range(n):
        pixels = np.random.default_rng(i).integers(0, 256, (9, 9, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(f"{folder}/{i:02d}.png", **options)


def spoil(folder: str, n: int) -> None:
    pictures(folder, 40)
    for i in range(n):
        file = Path(folder, f"{i:02d}.png")
        file.write_bytes(file.read_bytes()[: 60 if i % 2 else 0])


def tar(name: str, *members: tarfile.TarInfo) -> None:
    pictures("p", 12)
    with tarfile.open(name, "w:gz") as archive:
        for path in sorted(Path("p").iterdir()):
            archive.add(path, path.name)
        for member in members:
            archive.addfile(member, io.BytesIO(b"\0" * member.size) if member.isreg() else None)


def zipped(name: str, member: str) -> None:
    with zipfile.ZipFile(name, "w") as archive:
        archive.writestr(member, b"x")


BAD: dict[str, tuple[Callable[[], object], str, str]] = {
    "missing path": (lambda: None, "photos/", "there is no file or folder 'photos/'"),
    "empty folder": (lambda: Path("d").mkdir(), "d", "d holds no pictures; pictures end in .png"),
    "one image": (lambda: pictures("d", 1), "d", "at least 10 pictures in d are needed, but there is only 1"),
    "nine images": (lambda: pictures("d", 9), "d", "there are only 9"),
    "corrupt images": (lambda: spoil("d", 3), "d", "3 of 40 pictures in d cannot be read, more than 5%"),
    "zip that points outside": (lambda: zipped("d.zip", "../a.png"), "d.zip", "points outside of it, '../a.png'"),
    "zip of an absolute path": (lambda: zipped("d.zip", "/a.png"), "d.zip", "points outside of it, '/a.png'"),
    "tar that points outside": (lambda: tar("d.tar.gz", tarfile.TarInfo("../a.png")), "d.tar.gz", "points outside"),
    "no zip": (lambda: Path("d.zip").write_text("zip"), "d.zip", "damaged or cut short"),
    "pickled objects": (
        lambda: np.savez("d.npz", x=np.array([{}] * 20, dtype=object)),
        "d.npz",
        "pickled objects, which could run code",
    ),
    "a pickle": (lambda: Path("d.npy").write_bytes(pickle.dumps(os.system)), "d.npy", "which could run code"),
    "NaN pixels": (lambda: np.save("d.npy", np.full((20, 8, 8), np.nan)), "d.npy", "1280 values that are NaN"),
    "constant pixels": (lambda: np.save("d.npy", np.zeros((20, 8, 8))), "d.npy", "nothing to learn"),
    "range of no sense": (
        lambda: np.save("d.npy", np.linspace(-3, 3, 1280).reshape(20, 8, 8)),
        "d.npy",
        "goes from -3 to 3",
    ),
    "dtype of no sense": (lambda: np.save("d.npy", np.zeros((20, 8, 8), complex)), "d.npy", "dtype complex128"),
    "one pixel": (lambda: np.save("d.npy", np.arange(20).reshape(20, 1, 1)), "d.npy", "a side needs at least 4"),
    "labels of another length": (
        lambda: np.savez("d.npz", x=np.eye(8, dtype=np.uint8)[None].repeat(20, 0), y=np.arange(7)),
        "d.npz",
        "20 pictures but labels of shape (7,)",
    ),
    "IDX that lies": (
        lambda: Path("d-idx3-ubyte").write_bytes(struct.pack(">HBB3I", 0, 8, 3, 2**31, 2**31, 28)),
        "d-idx3-ubyte",
        "as a decompression bomb does",
    ),
    "infinity": (lambda: Path("d.csv").write_text(ROWS.replace("3.5,b", "inf,b", 1)), "d.csv", "row 4 is inf"),
    "ragged": (lambda: Path("d.csv").write_text(f"{ROWS}\n1,2"), "d.csv", "line 42: 2 values where line 1 has 3"),
    "wrongly delimited": (
        lambda: Path("d.csv").write_text(ROWS.replace(",", "|")),
        "d.csv",
        "as if separated by bars",
    ),
    "nothing that varies": (lambda: Path("d.csv").write_text("a,b\n" + "1,2\n" * 20), "d.csv", "nothing to learn"),
    "nine rows": (lambda: Path("d.csv").write_text(ROWS[:80]), "d.csv", "at least 10 rows in d.csv are needed"),
    "no text": (lambda: Path("d.csv").write_bytes(b"a,b\n\0\0"), "d.csv", "not a text file"),
    "no Parquet": (lambda: Path("d.parquet").write_text("x"), "d.parquet", "not a sound Parquet file"),
    "an unknown kind of file": (lambda: Path("d.xyz").write_text("x"), "d.xyz", "not a kind of file that is known"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_data_is_refused_before_a_run_is_made(case: str, refused: Refused) -> None:
    make, name, says = BAD[case]
    make()
    assert says in refused("train", "linear-ae", name, *TINY, "-o", "new")


def test_what_is_skipped_is_counted_and_named(capsys: pytest.CaptureFixture[str]) -> None:
    spoil("d", 2)
    assert run(["train", "linear-ae", "d", *TINY, "-o", "new"]) == 0
    assert "2 of 40 pictures cannot be read and were skipped: 00.png" in capsys.readouterr().err
    link, hard = tarfile.TarInfo("link.png"), tarfile.TarInfo("hard.png")
    link.type, link.linkname, hard.type, hard.linkname = tarfile.SYMTYPE, "/etc/passwd", tarfile.LNKTYPE, "00.png"
    tar("d.tar.gz", link, hard)
    assert run(["inspect", "d.tar.gz"]) == 0
    said = capsys.readouterr().out
    assert "12x12" not in said
    assert "2 files ignored, as no picture: 2 .png (link)" in said


@pytest.mark.parametrize("data", ["only.csv", "words.csv", "ten.csv", "d"])
def test_little_data_is_data(data: str) -> None:
    """A single column, only categories, ten rows with a constant, ten images; each smaller than a batch."""
    Path("only.csv").write_text("a\n" + "\n".join(f"{i * 1.37:.2f}" for i in range(20)))
    Path("words.csv").write_text("a,b\n" + "\n".join(f"{'xy'[i % 2]},{'uvw'[i % 3]}" for i in range(20)))
    Path("ten.csv").write_text("a,b\n" + "\n".join(f"{i * 1.5},7" for i in range(10)))
    pictures("d", 10)
    assert run(["train", "mlp-vae", data, "--steps", "2", "--device", "cpu", "-o", "new"]) == 0
    assert run(["evaluate", "new", "--samples", "20"]) == 0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--latent", "1000000000"], "there is not enough memory for 3200000000000 bytes at once"),
        (["--hidden", "9" * 30], "hidden must be at most 1e+18"),
        (["--steps", "9" * 30], "steps must be at most 1e+18"),
        (["--seed", "9" * 30], "seed must be at most 1e+18"),
        (["--minutes", "inf"], "minutes must be at most 1e+18, but is inf"),
        (["--lr", "inf"], "lr must be at most 1e+18, but is inf"),
        (["--betas", "0.9"], "betas must be 2 values, but is (0.9,)"),
        (["--betas", "1,1"], "betas must be at least 0 and at most 0.99999"),
        (["--hidden", ""], "hidden must be a whole number, but is ''"),
        (["--split", "0.5"], "split must be three fractions"),
        (["--split", "1e-4,1e-4,1e-4"], "raise its first fraction"),
        (["--size", "8,8,8"], "size must be one side, or height,width"),
        (["--label", "species"], "which has no label; leave it out"),
        (["--beta", "1e300"], "training stopped at step 0: the loss of model is inf"),
        (["--resume", "--overwrite"], "choose one"),
        (["--device", "cuda:77"], "there is no device 'cuda:77' here"),
    ],
)
def test_absurd_options_are_refused_and_leave_nothing(options: list[str], says: str, refused: Refused) -> None:
    assert says in refused(*TRAIN, *options)


@pytest.mark.parametrize("out", ["/proc/new", "taken", "taken/new", "n" * 300, ""])
def test_where_nothing_can_be_written(out: str, refused: Refused, trained: Path) -> None:
    Path("taken").write_text("mine")
    refused(*TRAIN[:-1], out)
    refused("sample", str(trained), "-o", f"{out}/s.png" if out else "")


def test_overwriting_takes_only_what_a_training_made(refused: Refused) -> None:
    assert run(TRAIN) == 0
    Path("new/diary.txt").write_text("mine")
    Path("new/checkpoints/00000002 copy").mkdir()
    Path("new/samples/mine.png").write_bytes(b"mine")
    assert run([*TRAIN, "--resume"]) == 0, "what is not ours does not confuse a resume"
    assert run([*TRAIN, "--overwrite"]) == 0
    assert Path("new/diary.txt").read_text() == "mine"


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    header = json.loads((folder / "run.json").read_text())
    change(header)
    (folder / "run.json").write_text(json.dumps(header))


def put(*path: str | int, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(header: Any) -> None:
        for key in path[:-1]:
            header = header[key]
        header[path[-1]] = value

    return change


EDITS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "no recipe": (lambda h: h.pop("recipe"), "it lacks recipe"),
    "no shape": (lambda h: h["spec"].pop("shape"), "it lacks spec.shape"),
    "no fingerprint": (lambda h: h["data"].pop("fingerprint"), "it lacks data.fingerprint"),
    "text for an object": (put("data", value="x"), "data must be an object, but is 'x'"),
    "null for a list": (put("networks", value=None), "networks must be a list, but is None"),
    "a number for a name": (put("recipe", "name", value=7), "recipe.name must be text, but is 7"),
    "a kind there is not": (put("spec", "kind", value="sounds"), "spec.kind must be images or points or table"),
    "words for a mean": (put("spec", "columns", 0, "mean", value="x"), "columns[0].mean must be a finite number"),
    "no number for a std": (put("spec", "columns", 0, "std", value=float("nan")), "columns[0].std must be a finite"),
    "a negative std": (put("spec", "columns", 0, "std", value=-1.0), "the spec describes no data"),
    "another width": (put("spec", "shape", value=[10**12]), "the spec describes no data"),
    "an unknown entry": (put("spec", "columns", 0, "code", value="x"), "spec.columns[0].code, which is not known"),
    "an unknown option": (put("recipe", "options", "code", value=1), "has no option 'code'"),
    "a hostile builder": (put("recipe", "build", value="os:system"), "'os:system', which this Lookalike does not"),
    "another network": (put("recipe", "options", "hidden", value=[7]), "does not fit the model that run.json"),
    "an absurd network": (put("recipe", "options", "latent", value=10**10), "there is not enough memory"),
    "a later format": (put("format", value=99), "format must be 1, but is 99"),
}


@pytest.mark.parametrize("case", EDITS)
def test_a_run_edited_by_hand_is_refused_by_the_entry(case: str, trained: Path, refused: Refused) -> None:
    change, says = EDITS[case]
    shutil.copytree(trained, "r")
    edit(Path("r"), change)
    assert says in refused("sample", "r", "-n", "2", "-o", "s.npz")
    assert says in refused("evaluate", "r")


@pytest.mark.parametrize("text", ["", "[]", "null", "{" * 5000, "[" * 100_000, "\xff"])
def test_a_run_that_is_no_json_is_refused(text: str, trained: Path, refused: Refused) -> None:
    shutil.copytree(trained, "r")
    Path("r/run.json").write_text(text, encoding="latin-1")
    assert "run.json is damaged" in refused("sample", "r", "-o", "s.npz")


def test_data_named_by_an_edited_run_is_no_way_in(trained: Path, refused: Refused) -> None:
    shutil.copytree(trained, "r")
    edit(Path("r"), put("data", "options", value={"progress": "os.system"}))
    assert "has no option 'progress'" in refused("evaluate", "r")
    edit(Path("r"), put("data", "where", value="/etc/passwd"))
    edit(Path("r"), put("data", "options", value={}))
    assert "not a kind of file" in refused("evaluate", "r")


def test_a_log_with_foreign_lines_is_read(trained: Path) -> None:
    shutil.copytree(trained, "r")
    with Path("r/log.jsonl").open("a") as file:
        file.write('[]\n{"step": "x"}\n\x00\n{"step": 4}\n')
    assert run(["evaluate", "r", "--samples", "20"]) == 0


def test_data_is_found_again_from_anywhere_and_its_absence_said(refused: Refused, tmp_path: Path) -> None:
    pictures("Ünï côde/photos", 12)
    os.chdir("Ünï côde")
    assert run(["train", "linear-ae", "photos/", *TINY, "-o", "my run"]) == 0
    os.chdir("photos")
    assert run(["train", "linear-ae", ".", *TINY, "-o", "../my run", "--resume"]) == 0, "the same by another path"
    os.chdir(tmp_path)
    Path("Ünï côde/my run").rename("moved")
    assert run(["evaluate", "moved"]) == 0
    Path("Ünï côde/photos").rename("better")
    assert "Name where it is now" in refused("evaluate", "moved")
    assert run(["evaluate", "moved", "better"]) == 0


def test_changed_data_is_said(refused: Refused) -> None:
    pictures("d", 12)
    assert run(["train", "linear-ae", "d", *TINY, "-o", "r"]) == 0
    pictures("d", 13)
    assert "has changed since r was trained on it" in refused("evaluate", "r")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("digits", "digits holds pictures, but the model was trained on table"),
        ("moons", "moons holds points"),
        ("other.csv", "has no column named 'size'"),
        ("nowhere", "there is no file or folder 'nowhere'"),
    ],
)
def test_data_of_another_kind_is_refused(data: str, says: str, trained: Path, refused: Refused) -> None:
    Path("other.csv").write_text(ROWS.replace("size", "length"))
    for task in ("evaluate", "encode", "reconstruct", "interpolate"):
        assert says in refused(task, str(trained), data)


def test_more_samples_than_memory_are_refused_at_once(trained: Path, refused: Refused) -> None:
    assert "not enough memory" in refused("sample", str(trained), "-n", str(10**14), "-o", "s.npz")


def test_the_numbers_do_not_wait_for_a_page(
    trained: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise lookalike.UserError("cannot write report.html: No space left on device.")

    monkeypatch.setattr("lookalike.tasks.evaluate.write_page", full)
    assert run(["evaluate", str(trained), "--samples", "20", "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["metrics"]
    assert "note: cannot write report.html" in said.err


def test_a_conditional_model_is_drawn_while_it_trains() -> None:
    few = ["--conditional", "--width", "8", "--layers", "1", "--size", "6", "--binarize", "threshold"]
    assert run(["train", "pixelcnn", "digits", *TINY, *few, "-o", "new"]) == 0
    assert list(Path("new/samples").iterdir())


def test_without_a_network_it_says_what_to_put_where_and_leaves_nothing(
    refused: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lookalike.data import downloaded

    offline = tuple(r.__class__(r.file, "http://127.0.0.1:9/x.gz", r.sha256) for r in downloaded.MNIST)
    monkeypatch.setattr(downloaded, "MNIST", offline)
    monkeypatch.setenv("LOOKALIKE_DATA", str(tmp_path / "not" / "there"))
    said = refused("train", "vae", "mnist", *TINY, "-o", "new")
    assert "put train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz, " in said
    assert "or set LOOKALIKE_DATA to the folder in which mnist/ holds them" in said


@pytest.mark.parametrize(
    ("task", "options", "says"),
    [
        ("evaluate", {"split": "tset"}, "evaluate: split must be one of valid, test, train, but is 'tset'"),
        ("evaluate", {"samples": "many"}, "evaluate: samples must be a whole number, but is 'many'"),
        ("sample", {"n": 0}, "sample: n must be at least 1, but is 0"),
        ("sample", {"temperature": float("nan")}, "sample: temperature must be at least 0"),
        ("encode", {"out": 3}, "encode: out must be text, but is 3"),
        ("train", {"precision": "fp8"}, "train: precision must be one of auto, float32, bf16"),
        ("train", {"seed": "x"}, "train: seed must be a whole number, but is 'x'"),
        ("train", {"device": None}, "train: device must be text, but is None"),
    ],
)
def test_python_refuses_what_the_command_line_refuses(
    task: str, options: dict[str, Any], says: str, trained: Path
) -> None:
    arguments = ("linear-ae", "digits") if task == "train" else (trained,)
    with pytest.raises(lookalike.UserError, match=says):
        getattr(lookalike, task)(*arguments, **options)


def test_labels_that_lack_are_said() -> None:
    x = np.random.default_rng(0).random((20, 8, 8))
    with pytest.raises(lookalike.UserError, match="lacks the labels of 10 of its 20 pictures"):
        lookalike.open_data((x, ["a", None] * 10))
