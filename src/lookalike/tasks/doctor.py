"""The doctor's visit to a run: its log judged, its model measured again with more samples, its data looked through."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import UserError
from ..report import Report
from ..run import Run
from ..training.flaws import flaws
from ..training.health import Finding, healthy_at, judge, looks_at
from ..training.vitals import Vitals
from ..training.watch import told_of
from ._common import open_run, open_run_data, say


def doctor(
    run: str | Path | Run, data: str | None = None, *, seed: int = 0, device: str = "auto", **how: Any
) -> Report:
    """Say what is wrong with a training, what to do about it, and which checkpoint was the last healthy one.

    A training is watched while it runs, and its log is judged again here. Where the data is at hand, the trained model
    is measured once more, with more samples, and the data looked through for repeats and leaks. What each signal means
    is in docs/doctor.md.

    Example:
        lookalike doctor runs/photos
        lookalike doctor runs/photos --json

    Arguments:
        run: folder of the run; it may be in training.
        data: name or path of the data, where it is not where it was.
        seed: of the samples.
        device: auto, cpu, cuda or mps.

    Raises:
        UserError: there is no such run, or it has logged nothing yet.
    """
    opened = Run.open(run)
    records = opened.records()
    checkpoints = {int(folder.name): str(folder) for folder in opened.checkpoints()}
    notes = []
    if checkpoints:
        try:
            records = [*records, *_visit(opened, data, seed, device, max(checkpoints), how)]
        except UserError as why:
            if data is not None:
                raise
            notes.append(f"note: {why} So only the log was judged.")
    looks = looks_at(records)
    findings = judge(looks, over=True)
    if not findings:
        raise UserError(f"{opened.path} has logged nothing that can be judged yet. Wait for its training to go on.")
    healthy = healthy_at(looks, checkpoints)
    last = None if healthy is None else {"step": healthy, "checkpoint": checkpoints[healthy]}
    if checkpoints:
        notes.append(f"the last healthy checkpoint is {last['checkpoint']}" if last else "no checkpoint is healthy")
    lines = [summary(findings, str(opened.path)), *(f"  {told_of(finding)}" for finding in findings), *notes]
    return Report("\n".join(lines), facts={"findings": [f.json() for f in findings], "last_healthy": last})


def _visit(run: Run, data: str | None, seed: int, device: str, step: int, how: dict[str, Any]) -> list[dict[str, Any]]:
    """The figures of a run's model and data as they are now, as lines of its log."""
    opened = open_run_data(run, data, **how)
    run, model, _ = open_run(run, device)
    say(f"measuring {run.path} on {opened.name}")
    vitals = Vitals(opened, seed, None, thorough=True)
    return [
        {"step": 0, "seconds": 0.0, "split": "health", **flaws(opened, decode=True)},
        {"step": step, "seconds": 0.0, "split": "health", "progress": 1.0, **vitals(model)},
    ]


def summary(findings: list[Finding], name: str) -> str:
    """One line: how many signals are ill, of how many."""
    bad, warned = (sum(finding.level == level for finding in findings) for level in ("bad", "warn"))
    if not bad + warned:
        return f"{name}: all {len(findings)} signals are healthy"
    return f"{name}: {bad} of {len(findings)} signals are bad, {warned} to be watched"
