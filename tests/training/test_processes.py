"""Two processes equal one with the doubled batch, in float64, a gradient penalty included."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest
import torch

PROGRAM = textwrap.dedent(
    """
    import contextlib, sys, torch
    from torch import nn
    from lookalike.models.base import Model, Turn
    from lookalike.recipe import Training
    from lookalike.spec import Column, Spec
    from lookalike.training.players import Player, play
    from lookalike.training.processes import ALONE, joined

    class Critic(Model):
        def __init__(self):
            super().__init__(Spec("points", (3,), columns=tuple(Column(str(i)) for i in range(3))))
            self.critic = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))
            self.generator = nn.Linear(3, 3)

        def players(self):
            return {"critic": self.critic, "generator": self.generator}

        def turns(self, x, y=None, step=0):
            middle = (x + self.generator(x).detach()).div(2).requires_grad_()
            slope, = torch.autograd.grad(self.critic(middle).sum(), middle, create_graph=True)
            # The penalty alone: the last bias of the critic gets no gradient from it.
            yield Turn("critic", (slope.norm(dim=1) - 1).square().mean())
            yield Turn("generator", -self.critic(self.generator(x)).mean())

    def main(out):
        torch.set_num_threads(1)
        torch.manual_seed(0)
        model = Critic().double()
        x = torch.randn(4, 8, 3, dtype=torch.float64)
        players = {n: Player(n, m, 0.01, Training()) for n, m in model.players().items()}
        with joined(torch.device("cpu")) as team:
            for step in range(4):
                own = x[step].chunk(team.world)[team.rank]
                play(model, players, own, None, step=step, context=contextlib.nullcontext, team=team)
            torch.save(model.state_dict(), f"{out}.{team.world}.{team.rank}")

    main(sys.argv[1])
    """
)


@pytest.mark.slow
def test_two_processes_equal_one_with_the_doubled_batch(tmp_path) -> None:
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)
    subprocess.run([sys.executable, script, tmp_path / "w"], check=True, timeout=120)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    subprocess.run([*torchrun, script, tmp_path / "w"], check=True, timeout=200, capture_output=True)
    one, first, second = (torch.load(tmp_path / f"w.{name}", weights_only=True) for name in ("1.0", "2.0", "2.1"))
    for name, value in one.items():
        assert torch.equal(first[name], second[name]), f"the processes differ in {name}"
        torch.testing.assert_close(first[name], value, rtol=0, atol=1e-12)
