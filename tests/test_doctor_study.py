"""The doctor is right: the study of planted faults and healthy trainings, with fresh seeds."""

from __future__ import annotations

import pytest
from benchmarks.doctor import outcome, study, summary, table, trained
from benchmarks.doctor_cases import FAULTS, HEALTHY

from lookalike.training.signals import SIGNALS


def test_the_study_is_as_large_as_it_must_be() -> None:
    assert len({case.fault for case in FAULTS}) >= 12
    assert len({case.recipe for case in FAULTS}) >= 5
    assert {signal for case in FAULTS for signal in case.expects} <= set(SIGNALS)


def test_a_planted_fault_of_the_data_is_found_and_counted() -> None:
    case = next(case for case in FAULTS if case.expects == ("stuck pixels",))
    found = outcome(case, 0, trained(case, 0))
    assert found.right
    assert found.caught == 0
    missed = found._replace(alarms={})
    assert not missed.right
    assert summary([found, missed])["detected"] == 1
    assert "**missed**" in table([found, missed], [0])


@pytest.mark.proof
def test_the_doctor_finds_what_is_planted_and_is_silent_else(capsys: pytest.CaptureFixture[str]) -> None:
    outcomes = [*study(FAULTS, [50]), *study(HEALTHY, [50, 51])]
    with capsys.disabled():
        print(table(outcomes, [50, 51]))
    found = summary(outcomes)
    assert found["healthy"] >= 20
    assert found["detected"] >= 0.95 * found["faults"]
    assert found["false alarms"] <= 0.05 * found["healthy"]
