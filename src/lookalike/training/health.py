"""The doctor's judgement of a training, read off the run's log and nothing else.

    look       one record of the log that has the figures a signal needs; its level is ok, warn or bad
    finding    the lowest level of a signal's last looks, as many as its patience: one bad look is no finding
    since      the first of the looks that have been at that level without a break

All of it is a function of the log, so that a training judges itself while it runs as `lookalike doctor` does later,
and a resumed training as one that was never stopped. What is looked for is the table in `signals`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from .signals import LEVELS, SIGNALS, Figures, Level, Look, Records

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


def looks_at(records: Records) -> dict[str, list[Look]]:
    """The looks of every signal that the log has figures for.

    Arguments:
        records: lines of the log, oldest first.
    """
    looks = {name: signal.looks(records) for name, signal in SIGNALS.items()}
    return {name: of_one for name, of_one in looks.items() if of_one}


def judge(looks: Mapping[str, list[Look]], *, over: bool = False) -> list[Finding]:
    """A finding for each signal that was looked at, the worst first.

    Arguments:
        looks: as `looks_at` gives them.
        over: whether the training has ended: then a signal with fewer looks than its patience may speak too.
    """
    findings = []
    for name, of_one in looks.items():
        signal = SIGNALS[name]
        recent = [look.level for look in of_one[-signal.patience :]]
        level = min(recent) if over or len(recent) == signal.patience else 0
        since = _since(of_one, level) if level else None
        sentence = (signal.trouble if level else signal.fine).format(**of_one[-1].figures)
        action = signal.action if level else ""
        findings.append(Finding(name, LEVELS[level], sentence, action, since, dict(of_one[-1].figures)))
    return sorted(findings, key=lambda finding: -LEVELS.index(finding.level))


def _since(looks: list[Look], level: int) -> int:
    """The first of the last looks that are all at that level at the least."""
    return list(itertools.takewhile(lambda look: look.level >= level, reversed(looks)))[-1].step


def healthy_at(looks: Mapping[str, list[Look]], steps: Iterable[int]) -> int | None:
    """The newest of some steps at which no signal was bad, by its last look until then; None where there is none."""
    of_training = [of_one for name, of_one in looks.items() if not SIGNALS[name].of_data]

    def healthy(step: int) -> bool:
        until = [[look.level for look in of_one if look.step <= step] for of_one in of_training]
        return all(levels[-1] < BAD for levels in until if levels)

    return max(filter(healthy, steps), default=None)
