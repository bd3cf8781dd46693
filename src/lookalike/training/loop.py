"""The one training loop: it plays every game.

    for each step:   x, y <- the batch of (seed, step)
                     for player, loss in model.turns(x, y, step):  move that player
                     average the weights
                     now and then: log, examine, draw, ask the doctor, save

Everything random is a function of the seed and the step, and everything that changes is in `State`, so
a training can be stopped at any moment and taken up again as if nothing had happened.
"""

from __future__ import annotations

import dataclasses
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

from ..data.base import Data, InMemory, Split, hash_seed, steps_per_epoch
from ..errors import UserError
from ..models.base import Model, Solved
from ..recipe import Clock, Training
from ..run import Run
from .desk import GRID, Desk, Examine
from .device import autocast, keep_memory, suits_bf16
from .health import Finding
from .players import NonFinite, play
from .processes import ALONE, Team, agreed, follow_leader
from .progress import Line
from .schedule import Schedule
from .state import State
from .watch import Watch

PATIENCE = 3  # roll-backs before giving up
CLOCKS: dict[Clock, Callable[[], float]] = {"wall": time.monotonic, "processor": time.process_time}
SECOND = 1.0  # seconds from which on another Ctrl-C is meant as such


class Interrupted(KeyboardInterrupt):
    """The user stopped the training at `step`; it was saved there, where there is a run to save it in."""

    def __init__(self, step: int, saved: bool = True) -> None:
        super().__init__(f"stopped{' and saved' * saved} at step {step}")
        self.step = step


class Collapsed(Exception):  # noqa: N818  (an event the task answers, not a mistake)
    """The doctor ended the training, as it was asked to; it was saved, and `state` is where."""

    def __init__(self, state: State, finding: Finding | None, why: str = "") -> None:
        told = (
            f"{finding.signal}: {finding.sentence} {finding.action}{why}" if finding else "the first process says why."
        )
        super().__init__(f"stopped and saved at step {state.step}: {told}")
        self.state = state
        self.finding = finding


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
    watch: Watch | None = None,
    line: Line | None = None,
    team: Team = ALONE,
) -> State:
    """Train a model on data; returns the final state, whose `average` is the model to use.

    Arguments:
        run: where to log and save; None keeps everything in memory.
        precision: "auto" runs networks in bf16 where the model allows it and the hardware is fast at it.
        resume: take up the newest checkpoint of `run`, if there is one.
        examine: called at milestones by the leading process.
        watch: the doctor, which looks at milestones and may end the training or have it go back.

    Raises:
        UserError: the loss was not finite more often than `PATIENCE` times; the run cannot be saved.
        Interrupted: Ctrl-C or SIGTERM, after the step under way was finished and saved.
        Collapsed: the doctor's finding is bad, and it was asked to stop there, or there was nothing to go back to.
    """
    keep_memory()
    device = torch.device(device)
    line = line or Line(type(model).__name__, shown=False)
    if isinstance(model, Solved):
        model.solve(data.train.first(len(data.train))[0])
        numbers = dataclasses.replace(numbers, minutes=None)  # time adds nothing to what is solved
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
    desk = Desk(state, run, schedule, examine, watch, line, team)

    now = CLOCKS[numbers.clock]
    began = now() - state.seconds
    with _stopping() as asked:
        while True:
            state.seconds = now() - began
            elapsed, stop, ill = agreed([state.seconds, float(asked.is_set()), float(desk.ill)], team, device)
            done = schedule.done(state.step, elapsed)
            if stop or done >= 1:
                break
            if ill:
                _answer(desk, game)
                continue
            desk.note(game.step(schedule.rate(state.step, done), desk))
    desk.finish(ended=done >= 1)
    if stop and done < 1:
        raise Interrupted(state.step, saved=run is not None)
    return state


def _answer(desk: Desk, game: _Game) -> None:
    """Go back to the last healthy checkpoint, where that is asked for and can be.

    Raises:
        Collapsed: else.
    """
    state, run, watch = desk.state, desk.run, desk.watch
    if watch is None or watch.worst is None:  # the leader's doctor alone knows what it is
        raise Collapsed(state, None)
    finding, why = watch.worst, ""
    if watch.on_collapse == "rollback":
        if run is not None and run.healthy is not None and state.rollbacks < PATIENCE:
            failed = state.step
            state.go_back(run, run.healthy)
            desk.begin()
            desk.log_health({"rollbacks": state.rollbacks})
            state.save(run)
            game.begin()
            desk.line.say(
                f"note: at step {failed} {finding.sentence} Back to step {state.step} with the rate times "
                f"{state.lowered:g} and other noise"
            )
            return
        why = f" It was taken back {PATIENCE} times." if state.rollbacks else " No checkpoint is healthy to go back to."
    desk.finish(ended=False)
    raise Collapsed(state, finding, why)


def place(model: Model, device: torch.device) -> Model:
    """The model in training mode on the device, its convolutions in the layout that is fast there."""
    model = model.to(device).train()
    return model.to(memory_format=torch.channels_last) if model.channels_last else model  # type: ignore[call-overload]


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
        self.begin()

    def begin(self) -> None:
        """Start, or start again, from the state as it is."""
        self.snapshot = self.state.snapshot()
        self.batches = self._batches()
        again = self.state.rollbacks  # else the same noise would lead to the same place
        self.noise = hash_seed("again", self.seed, again) if again else self.seed

    def step(self, rate: float, desk: Desk) -> dict[str, Tensor]:
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
                seed=self.noise,
                watched=desk.watches,
                accumulate=self.numbers.accumulate,
                context=self.context,
                team=self.team,
            )
            state.step += 1
            if self.checked_every > 1 and state.step % self.checked_every == 0 and not _finite(logs):
                raise NonFinite(f"one of {', '.join(logs)} is not finite")
        except NonFinite as fault:
            self._take_back(fault, desk)
            return {}
        if state.step == 1 or state.step % state.average_every == 0:
            state.ema.update_parameters(state.model)
        if state.step % GRID == 0:
            self.snapshot = {}  # frees the old one first: memory never holds two
            self.snapshot = state.snapshot()
        return logs

    def _take_back(self, fault: NonFinite, desk: Desk) -> None:
        state, failed = self.state, self.state.step
        desk.log_health({"not_finite": state.failures + 1})
        if state.failures >= PATIENCE:
            raise UserError(
                f"training stopped at step {failed}: {fault}, after {PATIENCE} roll-backs with ever lower rates. "
                "Try a lower --lr, or look for extreme values in the data with `lookalike inspect`."
            )
        state.roll_back(self.snapshot)
        back = f"back to step {state.step} with the rate times {state.lowered:g}"
        desk.line.say(f"note: at step {failed} {fault}; {back}")
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
