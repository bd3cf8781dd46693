"""Several jobs in processes of their own, as many at once as were asked for; what one does, no other feels.

A process has one thread, so that processor time is alike for all; it is stopped by closing its standard input or by a
signal, and saves before it ends. Where it ends without a result the sentence on why comes from how it ended.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..disk import write_atomically
from ..training.progress import Line, duration, tell
from ._job import Job

POLL = 0.2  # seconds
GUESS = 20.0  # seconds that opening, measuring and drawing take, before it is known
PATIENCE = 120.0  # seconds that a process is given to save
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


class Crew:
    """Carries out jobs; `results` are by name, each as the file of the job says, or with an "error".

    Arguments:
        at_once: processes at a time.
        line: where progress is told.
    """

    def __init__(self, jobs: Sequence[Job], at_once: int, line: Line) -> None:
        self.jobs, self.at_once, self.line = jobs, at_once, line
        self.results: dict[str, dict[str, Any]] = {}
        self.under_way: dict[str, tuple[Job, subprocess.Popen[bytes], float]] = {}
        self.took: list[float] = []

    def work(self) -> dict[str, dict[str, Any]]:
        """All results; those of jobs that were done before are read.

        Raises:
            KeyboardInterrupt: after every process has saved and ended.
        """
        waiting = []
        for job in self.jobs:
            done = _result(job)
            if done is None or "error" in done:
                waiting.append(job)
            else:
                self.results[job.name] = done
        try:
            while waiting or self.under_way:
                while waiting and len(self.under_way) < self.at_once:
                    self._start(waiting.pop(0))
                time.sleep(POLL)
                self._collect()
                self._tell(len(waiting))
        except BaseException:
            self._stop()
            raise
        finally:
            self.line.close()
        return {job.name: self.results[job.name] for job in self.jobs}

    def _start(self, job: Job) -> None:
        job.file("json").unlink(missing_ok=True)
        file = job.file("job")
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, json.dumps(dataclasses.asdict(job)).encode())
        environment = {**os.environ, **dict.fromkeys(THREADS, "1")}
        with job.file("log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "lookalike.tasks._job", str(file)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,  # Ctrl-C is for the one that started it, which hands it on once
            )
        self.under_way[job.name] = job, process, time.monotonic()

    def _collect(self) -> None:
        for name, (job, process, began) in list(self.under_way.items()):
            if process.poll() is None:
                continue
            del self.under_way[name]
            if process.stdin is not None:
                process.stdin.close()
            self.results[name] = found = _result(job) or _without_result(job, process.returncode)
            self.took.append(time.monotonic() - began)
            if "error" in found:
                self.line.say(f"{name} failed: {found['error']}")

    def _stop(self) -> None:
        """Have every process save and end."""
        for _, process, _ in self.under_way.values():
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        until = time.monotonic() + PATIENCE
        for _, process, _ in self.under_way.values():
            try:
                process.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()

    def _tell(self, waiting: int) -> None:
        if not self.line.due:
            return
        self.line.last = time.monotonic()
        shares = {name: _share(job) for name, (job, _, _) in self.under_way.items()}
        told = [f"{name} {'measuring' if share >= 1 else f'{share:.0%}'}" for name, share in shares.items()]
        words = f"{len(self.results)} of {len(self.jobs)} done  {'  '.join(told)}  "
        words += f"about {duration(self._left(waiting, shares))} left in all"
        if self.line.live:
            tell(f"\r{words[: shutil.get_terminal_size().columns - 1]}\x1b[K")
        else:
            tell(f"{words}\n")

    def _left(self, waiting: int, shares: dict[str, float]) -> float:
        """Seconds, by how long the jobs that are done took, or how far those under way have come."""
        now = time.monotonic()
        ages = {name: now - began for name, (_, _, began) in self.under_way.items()}
        if self.took:
            each = sum(self.took) / len(self.took)
        else:
            seen = [ages[name] / share for name, share in shares.items() if share > 0.1]
            budget = 60 * self.jobs[0].budget.get("minutes", 1.0)
            each = GUESS + (sum(seen) / len(seen) if seen else budget)
        rest = [max(each - age, 0.1 * each) for age in ages.values()]
        return (waiting * each + sum(rest)) / self.at_once if waiting else max(rest, default=0.0)


def _result(job: Job) -> dict[str, Any] | None:
    """What the job wrote, if it is whole and of this job."""
    try:
        result: dict[str, Any] = json.loads(job.file("json").read_text())
    except (OSError, ValueError):
        return None
    return result if result.get("recipe") == job.recipe and result.get("seed") == job.seed else None


def _without_result(job: Job, code: int) -> dict[str, Any]:
    """The sentence on a process that ended without a result."""
    log = job.file("log")
    if code < 0:
        name = signal.Signals(-code).name
        most_likely = "; most likely there was too little memory: try --jobs 1" if code == -signal.SIGKILL else ""
        why = f"its process was ended by {name}{most_likely}."
    else:
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
        why = f"its process ended with code {code} ({lines[-1].strip()[:200] if lines else 'without a word'})."
    return {"recipe": job.recipe, "seed": job.seed, "error": f"{why} All it said: {log}"}


def _share(job: Job) -> float:
    """How much of its training is done, by the last whole line of its log."""
    log = job.run / "log.jsonl"
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 4096))
            lines = file.read().splitlines()
    except OSError:
        return 0.0
    for line in reversed(lines):
        with contextlib.suppress(ValueError, KeyError, TypeError):
            record = json.loads(line)
            if "minutes" in job.budget:
                return min(1.0, record["seconds"] / (60 * job.budget["minutes"]))
            return min(1.0, record["step"] / job.budget["steps"])
    return 0.0


def cores() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def fitting(jobs: int) -> int:
    """Processes at a time where the user did not say: one a core, and 2 GiB of memory for each."""
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        memory = 8 << 30
    return max(1, min(cores(), memory >> 31, jobs))


def clear(folder: Path) -> None:
    """Remove what a comparison made of its folder; what else lies there is the user's."""
    for part in ("runs", "results"):
        shutil.rmtree(folder / part, ignore_errors=True)
    for file in folder.iterdir():
        if file.name in WRITTEN:
            file.unlink()


WRITTEN = ("compare.json", "comparison.html", "comparison.png", "table.csv", "figures.csv", "data.npz", "data.csv")
"""Files beside the runs."""
