"""The desk of a training: the log, the live line, milestones and checkpoints."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from torch import Tensor

from ..models.base import Model
from ..run import Run
from .processes import Team
from .progress import Line
from .schedule import MILESTONES, Schedule
from .state import State
from .watch import Watch

GRID = 100  # steps between snapshots in memory; checkpoints by the clock fall on the same grid
MEASURED = 20  # steps between two whose length is measured, at the least
SAVE_EVERY = 120.0  # seconds between checkpoints, where milestones are rarer

Examine = Callable[[Model, int, bool], dict[str, float]]
"""What to measure and draw of the averaged model at a milestone: (model, step, whether it is the last) -> figures."""


class Desk:
    """Keeps the log, shows the line, examines, asks the doctor and saves; only the leader of a team does.

    Attributes:
        ill: whether the doctor found what `--on-collapse` is to answer.
    """

    def __init__(
        self,
        state: State,
        run: Run | None,
        schedule: Schedule,
        examine: Examine | None,
        watch: Watch | None,
        line: Line,
        team: Team,
    ) -> None:
        self.state, self.run, self.schedule, self.examine, self.watch = state, run, schedule, examine, watch
        self.line, self.leads = line, team.leads
        self.log_every = max(1, min(50, (schedule.steps or 5000) // 100))
        self.ill = False
        self.begin()
        self.first_step, self.first_seconds = state.step, state.seconds

    def begin(self) -> None:
        """Start, or start again, from the state and the log as they are."""
        state = self.state
        self.milestone = int(self.schedule.done(state.step, state.seconds) * MILESTONES)
        self.saved_at = self.logged_at = state.seconds
        self.logged_step = state.step
        self.ill = False
        if self.watch is not None and self.leads:
            flaws = self.watch.begin(self.run.records() if self.run is not None else [])
            if flaws:
                self.log_health(flaws)
                self._say_findings()

    def note(self, logs: dict[str, Tensor]) -> None:
        """Take in what one step logged."""
        if not self.leads:
            return
        window = self.state.window
        for name, value in logs.items():
            total, count = window.get(name, (0.0, 0))
            window[name] = (total + value, count + 1)
        step, seconds = self.state.step, self.state.seconds
        if self.line.due and window:
            self._show()
        if step % self.log_every == 0 and window:
            self._log()
        milestone = int(self.schedule.done(step, seconds) * MILESTONES)
        if milestone > self.milestone:
            self.milestone = milestone
            self._examine()
            self._ask_the_doctor()
            self._save()
        elif step % GRID == 0 and seconds - self.saved_at > SAVE_EVERY:
            self._save()

    def finish(self, ended: bool) -> None:
        """Save the last step, unless a milestone fell on it; examine it too where the clock ended the training."""
        if self.leads and self.milestone < MILESTONES:
            if ended:
                self.milestone = MILESTONES
                self._examine()
                self._ask_the_doctor()
            self._save()
        self.line.close()

    def _figures(self) -> dict[str, float]:
        return {name: float(total / count) for name, (total, count) in self.state.window.items()}

    @property
    def watches(self) -> bool:
        """Whether how far the next step goes is to be measured: the log then has it, of that step alone."""
        every = self.log_every * math.ceil(MEASURED / self.log_every)
        return self.watch is not None and self.leads and (self.state.step + 1) % every == 0

    def _show(self) -> None:
        step, seconds = self.state.step, self.state.seconds
        rate = (step - self.first_step) / max(seconds - self.first_seconds, 1e-9)
        if self.schedule.steps is None:
            left = 60 * (self.schedule.numbers.minutes or 0) - seconds
        else:
            left = (self.schedule.steps - step) / max(rate, 1e-9)
        self.line.show(step, self.schedule.steps, max(left, 0.0), rate, self._figures())

    def _log(self) -> None:
        step, seconds = self.state.step, self.state.seconds
        figures = self._figures()
        self.state.window = {}
        per_second = (step - self.logged_step) / max(seconds - self.logged_at, 1e-9)
        speed = {"items_per_second": round(per_second * self.schedule.numbers.batch_size, 1)}
        first = next(iter(self.state.players.values()))
        figures["lr"] = first.optimiser.param_groups[0]["lr"]
        self._write("train", {**figures, **speed})
        self.logged_step, self.logged_at = step, seconds

    def _examine(self) -> None:
        if self.examine is None:
            return
        model = self.state.average.eval()
        figures = self.examine(model, self.state.step, self.milestone >= MILESTONES)
        if figures:
            self._write("valid", figures)

    def _ask_the_doctor(self) -> None:
        if self.watch is None:
            return
        figures = self.watch.look(self.state.average.eval(), self.milestone)
        if figures:
            self.log_health({"progress": self.milestone / MILESTONES, **figures})
        self._say_findings()
        self.ill = self.watch.worst is not None and self.watch.on_collapse != "warn"

    def _say_findings(self) -> None:
        assert self.watch is not None
        for sentence in self.watch.judge():
            self.line.say(sentence)

    def log_health(self, figures: Mapping[str, float]) -> None:
        """Log what the doctor judges by."""
        if self.watch is not None and self.leads:
            self._write("health", figures)

    def _write(self, split: str, figures: Mapping[str, float]) -> None:
        record = {"step": self.state.step, "seconds": round(self.state.seconds, 3), "split": split, **figures}
        if self.run is not None:
            self.run.log(record)
        if self.watch is not None:
            self.watch.take(record)

    def _save(self) -> None:
        if self.run is not None:
            if self.watch is not None:
                self.run.healthy = self.watch.healthy([*(int(c.name) for c in self.run.checkpoints()), self.state.step])
            self.state.save(self.run)
        self.saved_at = self.state.seconds
