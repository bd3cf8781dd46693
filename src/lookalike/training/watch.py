"""The doctor beside a training: it measures at milestones, judges the log, and says what is to be done.

    --on-collapse warn        says each finding once, when it is made
                  stop        ends the training at a bad one, saved as it is
                  rollback    goes back to the last healthy checkpoint, with half the rate and other noise, at most
                              `PATIENCE` times, then stops

It keeps nothing that is not in the log, so a resumed training judges as one that was never stopped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from ..models.base import Model
from .examine import Allowance
from .health import Finding, healthy_at, judge, looks_at
from .signals import SIGNALS, Look
from .vitals import SHARE, Vitals

OnCollapse = Literal["warn", "stop", "rollback"]


class Watch:
    """Takes in the log of a training and answers for its health.

    Attributes:
        worst: the first bad finding about the training there is now, or None.
    """

    def __init__(
        self, vitals: Vitals, on_collapse: OnCollapse = "warn", flaws: Mapping[str, float] | None = None
    ) -> None:
        self.vitals = vitals
        self.on_collapse = on_collapse
        self.flaws = dict(flaws or {})
        self.records: list[Mapping[str, Any]] = []
        self.looked: tuple[int, dict[str, list[Look]]] = (0, {})
        self.worst: Finding | None = None
        self.said: set[tuple[str, str]] = set()
        self.allowance = Allowance(SHARE) if vitals.between is None else None

    def begin(self, records: Iterable[Mapping[str, Any]]) -> dict[str, float]:
        """Start from the lines of the log; gives figures of the data, which are to be logged at step 0, if any."""
        self.records, self.looked = list(records), (0, {})
        self.worst = None
        return {} if any(record["split"] == "health" for record in self.records) else self.flaws

    def take(self, record: Mapping[str, Any]) -> None:
        """Take in a line of the log."""
        self.records.append(record)

    def look(self, model: Model, milestone: int) -> dict[str, float]:
        """The figures of this milestone, if it is to be measured."""
        if not self.vitals.due(milestone):
            return {}
        return (self.allowance.spend(lambda: self.vitals(model)) if self.allowance else self.vitals(model)) or {}

    def judge(self) -> list[str]:
        """Judge the log as it stands; gives a sentence on each finding that was not told yet."""
        findings = [finding for finding in judge(self._looks()) if finding.level != "ok"]
        of_training = [
            finding for finding in findings if finding.level == "bad" and not SIGNALS[finding.signal].of_data
        ]
        self.worst = of_training[0] if of_training else None
        told = [f for f in findings if (f.signal, f.level) not in self.said]
        self.said |= {(f.signal, f.level) for f in told}
        return [told_of(finding) for finding in told]

    def healthy(self, steps: Iterable[int]) -> int | None:
        """The newest of some steps at which nothing was bad."""
        return healthy_at(self._looks(), steps)

    def _looks(self) -> dict[str, list[Look]]:
        """The looks at the log as it stands, which are taken once."""
        if self.looked[0] != len(self.records):
            self.looked = len(self.records), looks_at(self.records)
        return self.looked[1]


def told_of(finding: Finding) -> str:
    """A finding as a line: "bad   long steps, since step 300: ... Lower --lr by ten." """
    since = "" if finding.since_step is None else f", since step {finding.since_step}"
    return f"{finding.level:5} {finding.signal}{since}: {finding.sentence} {finding.action}".rstrip()
