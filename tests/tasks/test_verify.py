"""`verify` audits a user's own run, a recipe or a model in hand, and its exit code says whether all held."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import lookalike
from lookalike.audits.table import AUDITS
from lookalike.cli import run
from lookalike.errors import UserError
from lookalike.models.tractable.autoregressive.made import MADE
from lookalike.tasks.train import train
from lookalike.tasks.verify import verify


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "made"
    return train("made", "digits", out=out, steps=3, width=16, depth=1, batch_size=8, binarize="threshold").path


def test_every_audit_of_a_run_has_a_row_or_a_reason(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["verify", str(trained), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["passed"]
    assert {row["audit"] for row in answer["rows"]} | set(verify(trained).skipped) == set(AUDITS)
    assert all(row["result"] == "ok" for row in answer["rows"])


def test_weights_of_a_run_that_see_too_much_fail_by_name_and_by_exit_code(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = MADE.params
    last = (slice(None), -1, None, None, None)
    monkeypatch.setattr(MADE, "params", lambda self, h, *g: whole(self, h, *g) + 0.1 * h.flatten(1)[last])
    assert run(["verify", str(trained)]) == 1
    said = capsys.readouterr().out
    assert "FAILED" in said
    assert "causality" in said


def test_a_model_in_hand_is_audited_on_what_it_draws(trained: Path) -> None:
    report = verify(lookalike.load(trained))
    assert report.ok
    assert "items it drew itself" in report.title
    assert report.skipped["sums to one"].startswith("it is made of networks of your own")


def test_a_recipe_is_audited_on_each_kind_of_data_it_takes() -> None:
    report = lookalike.verify("linear-ae")
    assert report.ok
    assert {"points", "a table", "binary images 8x8"} <= {row["on"] for row in report.rows}


def test_one_of_a_run_and_all_is_to_be_named() -> None:
    for wrong in ({}, {"run": "vae", "all": True}):
        with pytest.raises(UserError, match="one of the two"):
            verify(**wrong)
    with pytest.raises(UserError, match="does not exist"):
        verify("no-such-run")
