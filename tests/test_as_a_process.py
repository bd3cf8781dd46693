"""The command as a process among others: stopped at any moment, read by one who leaves, started as several."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

TRAIN = ["train", "mlp-vae", "digits", "--steps", "4", "--batch-size", "8", "--device", "cpu", "-o", "new"]


@pytest.fixture(autouse=True)
def _in_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def command(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, "-m", "lookalike", *arguments], text=True, env=environment, **pipes)


@pytest.mark.slow
@pytest.mark.parametrize("after", [0.15, 0.4, 0.7, 1.2, 2.0])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_at_any_moment_it_exits_130_without_a_word_too_many(after: float, number: int) -> None:
    process = command("train", "mlp-vae", "mnist-5k", "--steps", "100000", "--device", "cpu", "-o", "new")
    time.sleep(after)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    # Before a line of ours has run, the interpreter itself answers to the signal; and it ends itself by SIGINT,
    # which a shell calls 130 as well, where the signal came while a library made code of text.
    assert process.returncode in (130, -signal.SIGINT, -number)
    assert "Traceback" not in said or after < 0.5
    assert not Path("new").exists() or list(Path("new/checkpoints").glob("[0-9]*")), "saved, or nothing left"


@pytest.mark.slow
def test_a_reader_that_has_enough_stops_nothing() -> None:
    process = command("catalog")
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(timeout=60) == 0
    process = command(*TRAIN, stderr=subprocess.STDOUT)
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=60) == 0
    assert Path("new/checkpoints/00000004").is_dir()


@pytest.mark.slow
def test_two_processes_answer_once_and_fail_together() -> None:
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "lookalike"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*launch, *TRAIN, "--json"], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["step"] == 4
    assert "Warning" not in done.stderr
    again = subprocess.run([*launch, *TRAIN], capture_output=True, text=True, env=environment, check=False, timeout=60)
    assert again.returncode != 0
    assert "error: new exists" in again.stderr
