"""The one training loop: it plays every game.

    for each step:   x, y <- the batch of (seed, step)
                     for player, loss in model.turns(x, y, step):  move that player
                     average the weights
                     now and then: log, examine, draw, save

Everything random is a function of the seed and the step, and everything that changes is in `State`, so
a training can be stopped at any moment and taken up again as if nothing had happened.
"""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import torch
from torch import Tensor

from ..data.base import Data, InMemory, Split, steps_per_epoch
from ..errors import UserError
from ..models.base import Model, Solved
from ..recipe import Training
from ..run import Run
from .device import autocast, keep_memory, suits_bf16
from .players import NonFinite, play
from .processes import ALONE, Team, agreed, follow_leader
from .progress import Line
from .state import State

GRID = 100  # steps between snapshots in memory; checkpoints by the clock fall on the same grid
PATIENCE = 3  # roll-backs before giving up
MILESTONES = 20  # times a training is examined and saved
SECOND = 1.0  # seconds from which on another Ctrl-C is meant as such
SAVE_EVERY = 120.0  # seconds between checkpoints, where milestones are rarer

Examine = Callable[[Model, int, bool], dict[str, float]]
"""What to measure and draw of the averaged model at a milestone: (model, step, whether it is the last) -> figures."""


class Interrupted(KeyboardInterrupt):
    """The user stopped the training; it was saved at `step`."""

    def __init__(self, step: int) -> None:
        super().__init__(f"stopped and saved at step {step}")
        self.step = step


def fit(
    model: Model,
    data: Data,
    numbers: Training,
    *,
    run: Run | None = None,
    seed: int = 0,
    device: torch.device | str = "cpu",
    precision: str = "auto",
    resume: bool = False,
    examine: Examine | None = None,
    line: Line | None = None,
    team: Team = ALONE,
) -> State:
    """Train a model on data; returns the final state, whose `average` is the model to use.

    Arguments:
        run: where to log and save; None keeps everything in memory.
        precision: "auto" runs networks in bf16 where the model allows it and the hardware is fast at it.
        resume: take up the newest checkpoint of `run`, if there is one.
        examine: called at milestones by the leading process.

    Raises:
        UserError: the loss was not finite more often than `PATIENCE` times; the run cannot be saved.
        Interrupted: Ctrl-C or SIGTERM, after the step under way was finished and saved.
    """
    keep_memory()
    device = torch.device(device)
    line = line or Line(type(model).__name__, shown=False)
    if isinstance(model, Solved):
        model.solve(data.train.first(len(data.train))[0])
    model = place(model, device)
    state = State(model, numbers)
    if resume and run is not None:
        for sentence in state.resume(run):
            line.say(f"note: {sentence}")
        if team.leads:
            run.rewind(state.step)
    follow_leader([*model.parameters(), *model.buffers()], team)
    schedule = Schedule(numbers, steps_per_epoch(len(data.train), numbers.batch_size))
    bf16 = precision == "bf16" or (precision == "auto" and suits_bf16(model, device))
    game = _Game(state, data.train.to(device), numbers, seed, autocast(device, bf16), device, team)
    desk = _Desk(state, run, schedule, examine, line, team)

    began = time.monotonic() - state.seconds
    with _stopping() as asked:
        while True:
            state.seconds = time.monotonic() - began
            elapsed, stop = agreed([state.seconds, float(asked.is_set())], team, device)
            done = schedule.done(state.step, elapsed)
            if stop or done >= 1:
                break
            desk.note(game.step(schedule.rate(state.step, done), line))
    desk.finish(ended=done >= 1)
    if stop and done < 1:
        raise Interrupted(state.step)
    return state


def place(model: Model, device: torch.device) -> Model:
    """The model in training mode on the device, its convolutions in the layout that is fast there."""
    model = model.to(device).train()
    return model.to(memory_format=torch.channels_last) if model.channels_last else model  # type: ignore[call-overload]


class Schedule:
    """How far a training is, and what the rates are multiplied by there."""

    def __init__(self, numbers: Training, per_epoch: int) -> None:
        self.numbers = numbers
        self.steps = None if numbers.minutes else numbers.steps
        if numbers.epochs and not numbers.minutes:
            self.steps = max(1, math.ceil(numbers.epochs * per_epoch))

    def done(self, step: int, seconds: float) -> float:
        """The share that is done, 1 at the end: by steps, or by the clock where minutes were given."""
        if self.steps is None:
            return seconds / (60 * (self.numbers.minutes or 0))
        return step / self.steps

    def rate(self, step: int, done: float) -> float:
        """Linear warm-up, then a cosine to zero at the end (or constant)."""
        rise = min(1.0, (step + 1) / (self.numbers.warmup + 1))
        return rise * (0.5 * (1 + math.cos(math.pi * done)) if self.numbers.schedule == "cosine" else 1.0)


def between_milestones(numbers: Training, data: Data) -> int | None:
    """Items that are trained on between two milestones; None where the clock decides."""
    steps = Schedule(numbers, steps_per_epoch(len(data.train), numbers.batch_size)).steps
    return None if steps is None else steps * numbers.batch_size // MILESTONES


class _Game:
    """Plays steps, and takes back what was not finite."""

    def __init__(
        self,
        state: State,
        split: Split,
        numbers: Training,
        seed: int,
        context: Callable[[], Any],
        device: torch.device,
        team: Team,
    ) -> None:
        self.state, self.split, self.numbers, self.seed = state, split, numbers, seed
        self.context, self.device, self.team = context, device, team
        # A GPU is asked only now and then whether all is finite, since asking stalls it.
        self.checked_every = 1 if device.type == "cpu" else 20
        self.snapshot = state.snapshot()
        self.batches = self._batches()

    def step(self, rate: float, line: Line) -> dict[str, Tensor]:
        """One step; after a failure the state is back at the last snapshot and the log is empty."""
        state = self.state
        x, y = next(self.batches)
        x = x.to(self.device, non_blocking=True)
        if x.dim() == 4 and state.model.channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        try:
            logs = play(
                state.model,
                state.players,
                x,
                None if y is None else y.to(self.device),
                step=state.step,
                rate=rate * state.lowered,
                seed=self.seed,
                accumulate=self.numbers.accumulate,
                context=self.context,
                team=self.team,
            )
            state.step += 1
            if self.checked_every > 1 and state.step % self.checked_every == 0 and not _finite(logs):
                raise NonFinite(f"one of {', '.join(logs)} is not finite")
        except NonFinite as fault:
            self._take_back(fault, line)
            return {}
        if state.step == 1 or state.step % state.average_every == 0:
            state.ema.update_parameters(state.model)
        if state.step % GRID == 0:
            self.snapshot = {}  # frees the old one first: memory never holds two
            self.snapshot = state.snapshot()
        return logs

    def _take_back(self, fault: NonFinite, line: Line) -> None:
        state, failed = self.state, self.state.step
        if state.failures >= PATIENCE:
            raise UserError(
                f"training stopped at step {failed}: {fault}, after {PATIENCE} roll-backs with ever lower rates. "
                "Try a lower --lr, or look for extreme values in the data with `lookalike inspect`."
            )
        state.roll_back(self.snapshot)
        line.say(f"note: at step {failed} {fault}; back to step {state.step} with the rate times {state.lowered:g}")
        self.batches = self._batches()

    def _batches(self) -> Iterator[tuple[Tensor, Tensor | None]]:
        workers = 0 if isinstance(self.split.source, InMemory) else 2
        return self.split.batches(
            self.numbers.batch_size,
            self.seed,
            self.state.step,
            rank=self.team.rank,
            world=self.team.world,
            workers=workers,
        )


class _Desk:
    """Keeps the log, shows the line, examines and saves; only the leader of a team does."""

    def __init__(
        self, state: State, run: Run | None, schedule: Schedule, examine: Examine | None, line: Line, team: Team
    ) -> None:
        self.state, self.run, self.schedule, self.examine = state, run, schedule, examine
        self.line, self.leads = line, team.leads
        self.log_every = max(1, min(50, (schedule.steps or 5000) // 100))
        self.sums: dict[str, Tensor] = {}
        self.count = 0
        self.milestone = int(schedule.done(state.step, state.seconds) * MILESTONES)
        self.saved_at = self.logged_at = state.seconds
        self.logged_step = self.first_step = state.step
        self.first_seconds = state.seconds

    def note(self, logs: dict[str, Tensor]) -> None:
        """Take in what one step logged."""
        if not self.leads:
            return
        for name, value in logs.items():
            self.sums[name] = self.sums[name] + value if name in self.sums else value
        self.count += bool(logs)
        step, seconds = self.state.step, self.state.seconds
        if self.line.due and self.count:
            self._show()
        if step % self.log_every == 0 and self.count:
            self._log()
        milestone = int(self.schedule.done(step, seconds) * MILESTONES)
        if milestone > self.milestone:
            self.milestone = milestone
            self._examine()
            self._save()
        elif step % GRID == 0 and seconds - self.saved_at > SAVE_EVERY:
            self._save()

    def finish(self, ended: bool) -> None:
        """Save the last step, unless a milestone fell on it; examine it too where the clock ended the training."""
        if self.leads and self.milestone < MILESTONES:
            if ended:
                self.milestone = MILESTONES
                self._examine()
            self._save()
        self.line.close()

    def _figures(self) -> dict[str, float]:
        return {name: (value / self.count).item() for name, value in self.sums.items()}

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
        self.sums, self.count = {}, 0
        if self.run is not None:
            per_second = (step - self.logged_step) / max(seconds - self.logged_at, 1e-9)
            speed = {"items_per_second": round(per_second * self.schedule.numbers.batch_size, 1)}
            first = next(iter(self.state.players.values()))
            figures["lr"] = first.optimiser.param_groups[0]["lr"]
            self.run.log({"step": step, "seconds": round(seconds, 3), "split": "train", **figures, **speed})
        self.logged_step, self.logged_at = step, seconds

    def _examine(self) -> None:
        if self.examine is None:
            return
        model = self.state.average.eval()
        figures = self.examine(model, self.state.step, self.milestone >= MILESTONES)
        if self.run is not None and figures:
            seconds = round(self.state.seconds, 3)
            self.run.log({"step": self.state.step, "seconds": seconds, "split": "valid", **figures})

    def _save(self) -> None:
        if self.run is not None:
            self.state.save(self.run)
        self.saved_at = self.state.seconds


def _finite(logs: dict[str, Tensor]) -> bool:
    return math.isfinite(sum(value.sum() for value in logs.values()).item()) if logs else True  # type: ignore[union-attr]


@contextmanager
def _stopping() -> Iterator[threading.Event]:
    """An event that Ctrl-C or SIGTERM sets, once; a second Ctrl-C stops at once."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    since = 0.0

    def ask(_number: int, _frame: FrameType | None) -> None:
        nonlocal since
        # `torchrun` hands on the signal that the terminal gave to each process already: that is no second one.
        if asked.is_set() and time.monotonic() - since > SECOND:
            raise KeyboardInterrupt
        since = since or time.monotonic()
        asked.set()

    heeded = [n for n in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(n) is not signal.SIG_IGN]
    before = {number: signal.signal(number, ask) for number in heeded}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
