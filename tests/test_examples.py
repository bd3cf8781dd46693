"""The examples run, and what they promise in passing is so; shortened, but for `make proof`."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

import lookalike

EXAMPLES = Path(__file__).parent.parent / "examples"
NUMBERED = sorted(path.name for path in EXAMPLES.glob("[0-9]*.py"))


@pytest.fixture
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trainings of a few steps, whatever an example asks for."""
    train = lookalike.train

    def shortened(*where: Any, **how: Any) -> Any:
        return train(*where, **{**how, "steps": 5})

    monkeypatch.setattr(lookalike, "train", shortened, raising=False)


def run(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setattr("sys.argv", [name])
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")


@pytest.mark.slow
@pytest.mark.usefixtures("_short")
@pytest.mark.parametrize("name", NUMBERED)
def test_an_example_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(name, tmp_path, monkeypatch)
    assert list(tmp_path.rglob("*.png")), "no picture"


@pytest.mark.slow
@pytest.mark.usefixtures("_short")
def test_the_demo_takes_up_what_is_there_and_links_every_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run("demo.py", tmp_path, monkeypatch)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("weights.safetensors")}
    assert len(before) >= 5
    run("demo.py", tmp_path, monkeypatch)
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("weights.safetensors")}
    last = capsys.readouterr().out.splitlines()[-2:]
    assert "overview.png" in last[0]
    assert "index.html" in last[1]
    page = (tmp_path / "runs/demo/index.html").read_text()
    for report in tmp_path.rglob("report.html"):
        assert f'href="{report.relative_to(tmp_path / "runs/demo")}"' in page


@pytest.mark.proof
@pytest.mark.parametrize("name", [*NUMBERED, "demo.py"])
def test_an_example_in_full(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(name, tmp_path, monkeypatch)


@pytest.mark.proof
def test_a_linear_autoencoder_is_pca_as_its_example_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run("07_linear_ae_is_pca.py", tmp_path, monkeypatch)
    angle = float(capsys.readouterr().out.partition("two planes")[2].split()[0])
    assert angle < 1e-3
