"""The command line as a user meets it: answers, mistakes, exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lookalike.cli import recipe_names, run
from lookalike.recipe import recipes

TINY = ["--steps", "4", "--batch-size", "8", "--device", "cpu"]


@pytest.fixture(autouse=True)
def _in_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def trained() -> str:
    assert run(["train", "mlp-vae", "digits", *TINY, "-o", "r"]) == 0
    return "r"


def mistake(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The error of a command that must be refused: code 2, one to three lines, nothing on stdout."""
    capsys.readouterr()
    before = sorted(Path().rglob("*"))
    assert run(list(arguments)) == 2
    said = capsys.readouterr()
    assert said.out == ""
    lines = said.err.strip().splitlines()
    assert 1 <= len(lines) <= 3, said.err
    assert lines[0].startswith("error: ")
    assert sorted(Path().rglob("*")) == before, "something was left behind"
    return said.err


def test_help_is_quick_and_lists_every_task() -> None:
    times = []
    for _ in range(3):
        start = time.perf_counter()
        done = subprocess.run([sys.executable, "-m", "lookalike", "--help"], capture_output=True, text=True, check=True)
        times.append(time.perf_counter() - start)
    for task in ("train", "sample", "evaluate", "reconstruct", "interpolate", "encode", "catalog", "inspect"):
        assert f"  {task} " in done.stdout
    assert "torch" not in done.stderr


@pytest.mark.parametrize("task", ["train", "sample", "evaluate", "inspect", "encode"])
def test_help_shows_defaults_ranges_and_an_example(task: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([task, "--help"]) == 0
    shown = capsys.readouterr().out
    assert "Example:" in shown
    assert f"lookalike {task}" in shown
    assert "default: 0" in shown


def test_help_says_where_a_default_depends_on_the_kind_of_data(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", "made", "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "default: 512 for images, 128 for points and table" in shown


def test_help_of_a_recipe_shows_its_own_flags(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", "vae", "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    for words in ("--latent", "--lr", "--batch-size", "--beta", "--binarize", "at least 1", "above 0"):
        assert words in shown, words


def test_every_answer_is_one_json_object_on_stdout(trained: str, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (
        ["sample", trained, "-n", "4", "-o", "s.png"],
        ["reconstruct", trained, "-n", "4", "-o", "p.png"],
        ["encode", trained, "-o", "c.npz"],
        ["interpolate", trained, "-o", "i.png"],
        ["catalog"],
        ["inspect", "digits"],
        ["train", "mlp-vae", "digits", *TINY, "-o", "again"],
    ):
        capsys.readouterr()
        assert run([*command, "--json"]) == 0, command
        assert isinstance(json.loads(capsys.readouterr().out), dict)


def test_evaluate_gives_the_contract(trained: str, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert run(["evaluate", trained, "--json", "--samples", "150", "--importance-samples", "4"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert {"run", "data", "split", "metrics", "skipped"} <= set(answer)
    for metric in answer["metrics"].values():
        assert {"value", "standard_error", "kind", "unit", "protocol"} == set(metric)
        assert metric["kind"] in ("exact", "lower bound", "estimate")
        assert metric["protocol"]
    assert answer["metrics"]["bits_per_dim"]["kind"] == "lower bound"


def test_names_for_completion_are_the_recipes() -> None:
    assert sorted(recipe_names()) == sorted(recipes())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["train", "relnvp", "moons"], ["no recipe named 'relnvp'", "Did you mean 'realnvp'?", "catalog"]),
        (["trian", "vae"], ["no command 'trian'", "Did you mean 'train'?"]),
        (["train", "vae", "digits", "--lattent", "3"], ["--lattent", "--latent"]),
        (["train", "vae", "digits", "--latent", "0"], ["latent must be at least 1, but is 0"]),
        (["train", "vae", "digits", "--latent", "x"], ["latent must be a whole number, but is 'x'"]),
        (["train", "vae", "digits", "--lr", "-1"], ["lr must be above 0"]),
        (["train", "vae", "digits", "--lr", "nan"], ["lr must be above 0"]),
        (["train", "vae", "digits", "--lr", "painter=0.1"], ["painter", "model"]),
        (["train", "vae", "digits", "--schedule", "cosin"], ["cosine", "constant"]),
        (["train", "vae", "digits", "--device", "tpu"], ["tpu"]),
        (["train", "pixelcnn", "moons"], ["pixelcnn takes images, but this data is points", "realnvp"]),
        (["train", "vae", "nowhere/"], ["nowhere"]),
        (["train", "vae", "dijits"], ["dijits", "Did you mean 'digits'?"]),
        (["sample", "nowhere"], ["nowhere does not exist", "lookalike train"]),
        (["sample"], ["Missing argument"]),
        (["inspect", "digits", "--size", "0"], ["size"]),
    ],
)
def test_a_mistake_gets_one_clear_sentence(
    arguments: list[str], says: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    error = mistake(capsys, *arguments)
    for words in says:
        assert words in error, error


def test_an_output_that_exists_is_kept(trained: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "exists" in mistake(capsys, "train", "mlp-vae", "digits", *TINY, "-o", trained)
    Path("mine").mkdir()
    Path("mine/letter.txt").write_text("dear")
    assert "not a run folder" in mistake(capsys, "train", "mlp-vae", "digits", *TINY, "-o", "mine", "--overwrite")
    assert "not a run folder" in mistake(capsys, "sample", "mine")
    Path("s.png").write_bytes(b"mine")
    assert "exists" in mistake(capsys, "sample", trained, "-o", "s.png")
    assert Path("s.png").read_bytes() == b"mine"
    assert run(["train", "mlp-vae", "digits", *TINY, "-o", trained, "--overwrite"]) == 0


def test_the_same_sentence_in_python() -> None:
    import lookalike

    with pytest.raises(lookalike.UserError, match="latent must be at least 1, but is 0"):
        lookalike.train("vae", "digits", latent=0)
    with pytest.raises(lookalike.UserError, match=r"no option 'lattent'.*'latent'"):
        lookalike.train("vae", "digits", lattent=3)
