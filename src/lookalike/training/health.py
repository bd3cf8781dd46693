"""The doctor's judgement of a training, read off the run's log and nothing else.

    look       one record of the log that has the figures a signal needs; its level is ok, warn or bad
    finding    the lowest level of a signal's last looks, as many as its patience: one bad look is no finding
    since      the first of the looks that have been at that level without a break

All of it is a function of the log, so that a training judges itself while it runs as `lookalike doctor` does later,
and a resumed training as one that was never stopped. What is looked for is the table in `signals`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from .signals import LEVELS, SIGNALS, Figures, Level, Records

BAD = LEVELS.index("bad")


class Finding(NamedTuple):
    """What a signal says of a training.

    Arguments:
        signal: its name in `SIGNALS`.
        sentence: what was seen, with the figures that show it. action: what to do about it; "" where all is well.
        since_step: from when on it has been so; None where all is well.
        evidence: the figures of the newest look.
    """

    signal: str
    level: Level
    sentence: str
    action: str
    since_step: int | None
    evidence: Figures

    def json(self) -> dict[str, Any]:
        return self._asdict()


def judge(records: Records, *, over: bool = False) -> list[Finding]:
    """A finding for each signal that the log has figures for, the worst first.

    Arguments:
        records: lines of the log, oldest first.
        over: whether the training has ended: then a signal with fewer looks than its patience may speak too.
    """
    findings = []
    for name, signal in SIGNALS.items():
        looks = signal.looks(records)
        if not looks:
            continue
        recent = looks[-signal.patience :]
        enough = over or len(looks) >= signal.patience
        level = min(look.level for look in recent) if enough else 0
        since = None
        if level:
            since = looks[0].step
            for before, look in zip(reversed(looks[:-1]), reversed(looks[1:]), strict=True):
                if before.level < level:
                    since = look.step
                    break
        sentence = (signal.trouble if level else signal.fine).format(**looks[-1].figures)
        evidence = dict(looks[-1].figures)
        findings.append(Finding(name, LEVELS[level], sentence, signal.action if level else "", since, evidence))
    return sorted(findings, key=lambda finding: -LEVELS.index(finding.level))


def healthy_at(records: Records, steps: Iterable[int]) -> int | None:
    """The newest of some steps at which no signal was bad, by its last look until then; None where there is none."""
    looks = [signal.looks(records) for signal in SIGNALS.values() if not signal.of_data]

    def healthy(step: int) -> bool:
        until = [[look.level for look in of_one if look.step <= step] for of_one in looks]
        return all(levels[-1] < BAD for levels in until if levels)

    return max(filter(healthy, steps), default=None)
