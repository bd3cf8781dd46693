"""All that a training changes: weights, their average, optimisers, and where it is.

Saved whole in every checkpoint, so that N steps, a kill, and N more equal 2 N steps bit for bit on a
CPU; and kept in memory now and then, so that a loss that is not a number can be taken back.
"""

from __future__ import annotations

import copy
import shutil
from typing import Any

from torch import Tensor

from ..models.base import Model
from ..recipe import Training
from ..run import Run
from .ema import EVERY, averaged
from .players import Player, rates


class State:
    """The model in training and everything beside it.

    Attributes:
        ema: the averaged model; the model itself where the decay is 0.
        step: steps made. seconds: spent training, over all resumes.
        lowered: what the rate is multiplied by after roll-backs. failures: how many there were, after a loss that
            was not finite; rollbacks: ... after a finding of the doctor.
        window: what was logged since the last line of the log, by name: the sum and how often.
    """

    def __init__(self, model: Model, numbers: Training) -> None:
        self.model = model
        self.ema = averaged(model, numbers.ema)
        self.average_every = EVERY if numbers.ema > 0 else 1
        self.players = {
            name: Player(name, model.players()[name], lr, numbers) for name, lr in rates(model, numbers).items()
        }
        self.step = 0
        self.seconds = 0.0
        self.lowered = 1.0
        self.failures = 0
        self.rollbacks = 0
        self.window: dict[str, tuple[Tensor | float, int]] = {}

    @property
    def average(self) -> Model:
        """The model to evaluate, draw from and save."""
        return self.ema.module  # type: ignore[return-value]

    def _beside(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "seconds": self.seconds,
            "lowered": self.lowered,
            "failures": self.failures,
            "rollbacks": self.rollbacks,
            "window": self.window,
            "averaged": self.ema.n_averaged,
            "optimisers": {name: player.optimiser.state_dict() for name, player in self.players.items()},
            "norms": {name: player.norm for name, player in self.players.items()},
        }

    def _restore_beside(self, saved: dict[str, Any]) -> None:
        self.step, self.seconds = saved["step"], saved["seconds"]
        self.lowered, self.failures = saved["lowered"], saved["failures"]
        self.rollbacks, self.window = saved.get("rollbacks", 0), saved.get("window", {})  # older runs have none
        self.ema.n_averaged.copy_(saved["averaged"])
        for name, player in self.players.items():
            player.optimiser.load_state_dict(saved["optimisers"][name])
            player.norm = saved["norms"][name].to(player.norm.device)

    def save(self, run: Run) -> None:
        """Write a checkpoint."""
        run.save(self.step, self.model, self.average, self._beside())

    def resume(self, run: Run) -> list[str]:
        """Take up the newest whole checkpoint, if there is one; returns a sentence on each damaged one."""
        folder, said = run.newest()
        if folder is not None:
            self._restore_beside(run.read(folder, self.model, self.average))
        return said

    def snapshot(self) -> dict[str, Any]:
        """A copy in memory, for `roll_back`."""
        return copy.deepcopy(
            {"model": self.model.state_dict(), "ema": self.average.state_dict(), "beside": self._beside()}
        )

    def roll_back(self, snapshot: dict[str, Any]) -> None:
        """Return to a snapshot, with half the rate it had when it failed."""
        lowered, failures = self.lowered / 2, self.failures + 1
        self.model.load_state_dict(snapshot["model"])
        self.average.load_state_dict(snapshot["ema"])
        self._restore_beside(copy.deepcopy(snapshot["beside"]))
        self.lowered, self.failures, self.window = lowered, failures, {}

    def go_back(self, run: Run, step: int) -> None:
        """Return to the checkpoint of a step, with half the rate; what came after it is forgotten."""
        lowered, rollbacks = self.lowered / 2, self.rollbacks + 1
        run.rewind(step)
        for newer in run.checkpoints():
            if int(newer.name) > step:
                shutil.rmtree(newer)
        self.resume(run)
        self.lowered, self.rollbacks = lowered, rollbacks
