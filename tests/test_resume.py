"""A run can be cut at any moment, by Ctrl-C or by a kill, and ends as if it had not been."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from lookalike.cli import run
from lookalike.run import Run

TRAIN = ["train", "mlp-vae", "digits", "--steps", "240", "--batch-size", "16", "--device", "cpu"]


def start(folder: Path, *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "lookalike", *TRAIN, "-o", str(folder), *more]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)


def weights(folder: Path) -> list[dict[str, torch.Tensor]]:
    newest = Run.open(folder).checkpoints()[-1]
    assert newest.name == "00000240"
    return [load_file(newest / name) for name in ("weights.safetensors", "ema.safetensors")]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unbroken") / "run"
    process = start(folder)
    process.communicate(timeout=200)
    assert process.returncode == 0
    return folder


def same(a: Path, b: Path) -> None:
    for one, other in zip(weights(a), weights(b), strict=True):
        for name, value in one.items():
            assert torch.equal(value, other[name]), f"{name} differs"


@pytest.mark.slow
def test_killed_again_and_again_it_ends_with_the_weights_of_an_unbroken_run(unbroken: Path, tmp_path: Path) -> None:
    folder, luck = tmp_path / "run", random.Random(4)
    for _ in range(12):
        process = start(folder, "--resume")
        deadline = time.monotonic() + 60
        while not (folder / "log.jsonl").exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(luck.uniform(0.0, 0.8))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        if process.returncode == 0:
            break
    process = start(folder, "--resume")
    _, said = process.communicate(timeout=200)
    assert process.returncode == 0, said
    same(unbroken, folder)
    steps = [r["step"] for r in Run.open(folder).records() if r["split"] == "train"]
    assert steps == sorted(set(steps)), "the log reads like that of an unbroken run"


@pytest.mark.slow
def test_ctrl_c_saves_says_how_to_go_on_and_exits_130(unbroken: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    process = start(folder)
    deadline = time.monotonic() + 60
    while len(list((folder / "checkpoints").glob("[0-9]*"))) < 1 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "--resume" in said
    assert "Traceback" not in said
    step = int(Run.open(folder).checkpoints()[-1].name)
    assert 0 < step < 240
    process = start(folder, "--resume")
    process.communicate(timeout=200)
    same(unbroken, folder)


def test_a_resume_with_other_settings_is_refused_and_says_which(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    short = [a if a != "240" else "3" for a in TRAIN]
    folder = str(tmp_path / "r")
    assert run([*short, "-o", folder]) == 0
    capsys.readouterr()
    assert run([*short, "-o", folder, "--resume", "--latent", "3"]) == 2
    error = capsys.readouterr().err
    assert "latent was 20 and is now 3" in error
    assert run([*short, "-o", folder, "--resume", "--seed", "3"]) == 2
    assert "seed was 0 and is now 3" in capsys.readouterr().err
    assert run([*short, "-o", folder, "--resume"]) == 0  # it is done: nothing is left to do


def test_a_run_in_training_is_refused_to_a_second_process(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from lookalike.run import held

    short = [a if a != "240" else "3" for a in TRAIN]
    with held(tmp_path / "r"):
        for more in ([], ["--resume"], ["--overwrite"]):
            assert run([*short, "-o", str(tmp_path / "r"), *more]) == 2
            assert "trained by another process" in capsys.readouterr().err


def test_a_damaged_checkpoint_is_left_out_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    short = [a if a != "240" else "40" for a in TRAIN]
    folder = tmp_path / "r"
    assert run([*short, "-o", str(folder)]) == 0
    older, newest = Run.open(folder).checkpoints()
    file = newest / "ema.safetensors"
    file.write_bytes(file.read_bytes()[:-7])
    capsys.readouterr()
    assert run(["sample", str(folder), "-n", "2", "-o", str(tmp_path / "s.npz")]) == 0
    assert newest.name in capsys.readouterr().err
    altered = bytearray((older / "ema.safetensors").read_bytes())
    altered[-1] ^= 1
    (older / "ema.safetensors").write_bytes(altered)
    assert run(["sample", str(folder), "-n", "2", "-o", str(tmp_path / "t.npz")]) == 2
    assert "no checkpoint" in capsys.readouterr().err
    header = json.loads((folder / "run.json").read_text())
    header["recipe"]["build"] = "os:system"
    (folder / "run.json").write_text(json.dumps(header))
    assert run(["sample", str(folder), "-n", "2", "-o", str(tmp_path / "t.npz")]) == 2
    assert "os:system" in capsys.readouterr().err
    (folder / "run.json").write_text('{"format": 1')
    assert run(["sample", str(folder)]) == 2
    assert "damaged" in capsys.readouterr().err


def test_a_full_disk_while_saving_loses_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    short = [a if a != "240" else "40" for a in TRAIN]
    folder = tmp_path / "r"
    saved = torch.save
    calls = []

    def full(state: object, file: object) -> None:
        calls.append(1)
        if len(calls) > 3:
            raise OSError(28, "No space left on device")
        saved(state, file)

    monkeypatch.setattr(torch, "save", full)
    assert run([*short, "-o", str(folder)]) == 2
    error = capsys.readouterr().err
    assert "No space left on device" in error
    assert "--resume" in error
    monkeypatch.undo()
    names = sorted(p.name for p in (folder / "checkpoints").iterdir())
    assert len(names) == 2, "half a checkpoint was left behind"
    assert run([*short, "-o", str(folder), "--resume"]) == 0
    whole = tmp_path / "whole"
    assert run([*short, "-o", str(whole)]) == 0
    for a, b in zip(
        *(load_file(f / "checkpoints/00000040/ema.safetensors").items() for f in (folder, whole)), strict=True
    ):
        assert a[0] == b[0]
        assert torch.equal(a[1], b[1])
