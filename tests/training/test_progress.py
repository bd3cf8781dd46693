"""The line on stderr: calm in a pipe, and harmless where nobody reads."""

from __future__ import annotations

import itertools
import time

import pytest

from lookalike.training import progress


def test_in_a_pipe_a_line_comes_each_fifteen_seconds_and_none_at_the_first_step(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    line, shown = progress.Line("vae"), []
    for now in range(100):
        if line.due:
            line.show(now, 200, 100 - now, 1.0, {"loss": 0.5, "lr": 1e-3})
            shown.append(now)
    assert shown[0] > 0
    assert all(b - a >= 15 for a, b in itertools.pairwise(shown))
    said = capsys.readouterr().err.splitlines()
    assert len(said) == len(shown)
    assert said[0] == "vae  step 16/200  1/s  1 min 24 s left  loss 0.5"


def test_words_that_nobody_reads_any_more_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    import os
    import sys

    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as nobody:
        monkeypatch.setattr(sys, "stderr", nobody)
        progress.tell("a\n")
        progress.tell("b\n")
