"""`doctor` says what is wrong with a run, and `train --on-collapse` does something about it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from lookalike.cli import run
from lookalike.run import Run
from lookalike.tasks.doctor import doctor
from lookalike.tasks.train import train
from lookalike.training.vitals import Vitals

TRAIN = ["train", "realnvp", "iris", "--steps", "40", "--batch-size", "16", "--width", "8", "--device", "cpu"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("doctor") / "run"
    train("mlp-vae", "digits", out=folder, steps=40, batch_size=32, device="cpu")
    return folder


@pytest.fixture
def spreads(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the doctor measures as the spread, one milestone after another; healthy when it is empty."""
    told: list[float] = []
    monkeypatch.setattr("lookalike.tasks.train.finish", lambda *_: None)  # pictures take seconds
    monkeypatch.setattr("lookalike.training.examine.Examiner._draw", lambda *_: None)
    monkeypatch.setattr(Vitals, "due", lambda *_: True)
    monkeypatch.setattr(Vitals, "__call__", lambda *_: {"spread": told.pop(0) if told else 1.0})
    return told


def test_json_is_the_findings_and_the_last_healthy_checkpoint(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["doctor", str(trained), "--json", "--device", "cpu"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert set(said) == {"findings", "last_healthy"}
    for finding in said["findings"]:
        assert set(finding) == {"signal", "level", "sentence", "action", "since_step", "evidence"}
        assert finding["level"] in ("ok", "warn", "bad")
    signals = {finding["signal"] for finding in said["findings"]}
    assert {"not moving", "posterior collapse", "dead units", "duplicates", "leak", "copies"} <= signals
    assert set(said["last_healthy"]) == {"step", "checkpoint"}
    assert Path(said["last_healthy"]["checkpoint"]).is_dir()


def test_words_say_what_was_seen_and_where_to_go_back_to(trained: Path) -> None:
    log = trained / "log.jsonl"
    whole = log.read_text()
    ill = [{"step": 39, "seconds": 1.0, "split": "health", "progress": p, "spread": 0.01} for p in (0.7, 0.8)]
    log.write_text(whole + "".join(json.dumps(record) + "\n" for record in ill))
    said = str(doctor(trained, device="cpu"))
    log.write_text(whole)
    assert "bad   spread, since step 39: samples vary 0.01 times as much as data." in said
    assert "--penalty-weight" in said
    assert said.endswith("00000038")
    assert said.splitlines()[0].endswith("to be watched")


def test_the_page_says_how_healthy_it_was(trained: Path) -> None:
    page = (trained / "report.html").read_text()
    assert "How healthy it was" in page
    assert "not moving" in page


def test_without_its_data_a_run_is_judged_by_its_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], trained: Path
) -> None:
    header = json.loads((trained / "run.json").read_text())
    copy = tmp_path / "run"
    copy.mkdir()
    (copy / "run.json").write_text(json.dumps(header))
    assert run(["doctor", str(copy)]) == 2
    assert "nothing that can be judged" in capsys.readouterr().err
    (copy / "log.jsonl").write_text((trained / "log.jsonl").read_text())
    assert run(["doctor", str(copy), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["last_healthy"] is None


def test_stop_saves_says_why_exits_1_and_can_be_taken_up(
    tmp_path: Path, spreads: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = str(tmp_path / "run")
    spreads += [1.0] * 8 + [0.01] * 12
    assert run([*TRAIN, "-o", folder, "--on-collapse", "stop"]) == 1
    said = capsys.readouterr().err
    assert "stopped and saved at step 20: spread: samples vary 0.01 times" in said  # two milestones after the eighth
    opened = Run.open(folder)
    kept = [int(checkpoint.name) for checkpoint in opened.checkpoints()]
    assert 16 in kept, "the last healthy one"
    assert max(kept) == 20
    spreads.clear()
    assert run([*TRAIN, "-o", folder, "--resume"]) == 0
    assert int(Run.open(folder).checkpoints()[-1].name) == 40


def rates(folder: Path) -> Iterator[tuple[int, float]]:
    for record in Run.open(folder).records():
        if record["split"] == "train":
            yield record["step"], record["lr"]


def test_rollback_goes_back_to_the_last_healthy_checkpoint_with_half_the_rate(
    tmp_path: Path, spreads: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, whole = tmp_path / "run", tmp_path / "whole"
    assert run([*TRAIN, "-o", str(whole)]) == 0
    spreads += [1.0] * 8 + [0.01] * 2
    assert run([*TRAIN, "-o", str(folder), "--on-collapse", "rollback"]) == 0
    assert "Back to step 16 with the rate times 0.5" in capsys.readouterr().err
    before, after = dict(rates(whole)), dict(rates(folder))
    assert list(after) == list(range(1, 41)), "the log reads like that of a training that was never ill"
    assert after[16] == before[16]
    assert after[17] == pytest.approx(before[17] / 2)
    (finding,) = [f for f in doctor(folder, device="cpu").facts["findings"] if f["signal"] == "rolled back"]
    assert (finding["level"], finding["evidence"]["rollbacks"]) == ("warn", 1)


def test_rollback_ends_after_three_or_where_nothing_was_healthy(
    tmp_path: Path, spreads: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    spreads += [1.0] * 8 + [0.01] * 40
    assert run([*TRAIN, "-o", str(tmp_path / "a"), "--on-collapse", "rollback"]) == 1
    said = capsys.readouterr().err
    assert said.count("Back to step 16") == 3
    assert "It was taken back 3 times." in said
    assert len(Run.open(tmp_path / "a").checkpoints()) <= 4
    spreads[:] = [0.01] * 40
    assert run([*TRAIN, "-o", str(tmp_path / "b"), "--on-collapse", "rollback"]) == 1
