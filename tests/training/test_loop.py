"""The one loop: whose parameters move, what a resume restores, what is taken back."""

from __future__ import annotations

import contextlib
import copy
import math
import signal
import time
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from lookalike.data.base import Data, InMemory, Split
from lookalike.errors import UserError
from lookalike.models.base import Model, Solved, Turn
from lookalike.recipe import Training
from lookalike.spec import Column, Spec
from lookalike.training.ema import averaged
from lookalike.training.loop import Interrupted, Schedule, fit
from lookalike.training.players import Player, play
from lookalike.training.processes import ALONE

SPEC = Spec("points", (3,), columns=tuple(Column(f"x{i}") for i in range(3)))


class Duel(Model):
    """Two players and a buffer; noise in the loss, so that a resume must restore randomness too."""

    def __init__(self) -> None:
        super().__init__(SPEC)
        self.left, self.right = nn.Linear(3, 2), nn.Linear(2, 3)
        self.norm = nn.BatchNorm1d(2)

    def players(self) -> dict[str, nn.Module]:
        return {"left": self.left, "right": self.right}

    def turns(self, x: Tensor, y: Tensor | None = None, step: int = 0) -> Iterator[Turn]:
        h = self.norm(self.left(x.float())) + 0.1 * torch.randn(len(x), 2)
        yield Turn("left", (self.right(h) - x.float()).square().mean(), {"h": h})
        yield Turn("right", (self.right(self.left(x.float()).detach()) - x.float()).square().mean())


class Plain(Model):
    """One player, no noise: for comparisons that must be exact."""

    def __init__(self) -> None:
        super().__init__(SPEC)
        self.net = nn.Linear(3, 3)

    def turns(self, x: Tensor, y: Tensor | None = None, step: int = 0) -> Iterator[Turn]:
        yield Turn("model", (self.net(x.to(self.net.weight.dtype)) - x).square().mean())


def data(n: int = 40) -> Data:
    x = torch.randn(n, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    return Data("noise", SPEC, *(Split(InMemory(x)) for _ in range(3)))


def made(kind: type[Model], seed: int = 0) -> Model:
    torch.manual_seed(seed)
    return kind()


def values(module: nn.Module) -> list[Tensor]:
    return [t.detach().clone() for t in module.state_dict().values()]


def alike(a: nn.Module, b: nn.Module) -> bool:
    return all(torch.equal(s, t) for s, t in zip(values(a), values(b), strict=True))


def test_a_turn_moves_only_its_player() -> None:
    model = made(Duel).double()
    numbers = Training(lr=0.1)
    players = {name: Player(name, module, 0.1, numbers) for name, module in model.players().items()}
    seen: list[str] = []

    class Watched(Duel):
        def turns(self, x: Tensor, y: Tensor | None = None, step: int = 0) -> Iterator[Turn]:
            for turn in model.turns(x.double(), y, step):
                before = {name: values(module) for name, module in model.players().items()}
                yield turn._replace(loss=turn.loss)
                after = {name: values(module) for name, module in model.players().items()}
                moved = [n for n in before if not all(map(torch.equal, before[n], after[n]))]
                seen.append(f"{turn.player} moved {moved}")

    model.left.forward, model.right.forward = (
        lambda h, m=m: nn.functional.linear(h.double(), m.weight, m.bias) for m in (model.left, model.right)
    )
    play(Watched(), players, torch.randn(8, 3), None, step=0, context=contextlib.nullcontext)
    assert seen == ["left moved ['left']", "right moved ['right']"]


def test_a_run_cut_in_two_equals_an_unbroken_one_bit_for_bit(tmp_path) -> None:
    from lookalike.training.state import State

    class Folder:  # what `fit` needs of a run, in memory
        saved: dict | None = None

        def save(self, step, model, ema, state):
            self.saved = copy.deepcopy((model.state_dict(), ema.state_dict(), state))

        def newest(self):
            return ("there" if self.saved else None), []

        def read(self, _folder, model, ema):
            model.load_state_dict(self.saved[0])
            ema.load_state_dict(self.saved[1])
            return copy.deepcopy(self.saved[2])

        def rewind(self, step): ...

        def log(self, record): ...

    numbers = Training(steps=57, batch_size=8, lr=1e-2)
    whole = fit(made(Duel), data(), numbers, seed=3)
    folder = Folder()
    state: State | None = None
    for stop in (13, 30, 57):

        def examine(model: Model, step: int, last: bool, stop: int = stop) -> dict[str, float]:
            torch.randn(5)  # looking must not disturb what is random in training
            if step >= stop and step < 57:
                raise InterruptedError
            return {}

        with contextlib.suppress(InterruptedError):
            fresh = made(Duel, seed=9 if folder.saved else 0)
            state = fit(fresh, data(), numbers, run=folder, seed=3, resume=True, examine=examine)
    assert state is not None
    assert state.step == 57
    assert alike(state.model, whole.model)
    assert alike(state.average, whole.average)


def test_ctrl_c_without_a_folder_does_not_say_that_it_was_saved() -> None:
    def examine(_model: Model, _step: int, _last: bool) -> dict[str, float]:
        signal.raise_signal(signal.SIGINT)
        return {}

    with pytest.raises(Interrupted, match=r"^stopped at step \d+$"):
        fit(made(Duel), data(), Training(steps=40, batch_size=8), examine=examine)


def test_accumulated_chunks_equal_the_full_batch() -> None:
    results = []
    for accumulate in (1, 4):
        model = made(Plain).double()
        players = {"model": Player("model", model, 1e-3, Training(optimiser="sgd", betas=(0.0, 0.0), clip=0))}
        x = torch.randn(10, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        for step in range(3):
            logs = play(model, players, x, None, step=step, accumulate=accumulate, context=contextlib.nullcontext)
        results.append((values(model), logs["loss"]))
    for a, b in zip(results[0][0], results[1][0], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(results[0][1], results[1][1])


def test_a_loss_that_is_not_finite_is_taken_back_and_the_rate_lowered() -> None:
    class Once(Plain):
        broken = 0

        def turns(self, x: Tensor, y: Tensor | None = None, step: int = 0) -> Iterator[Turn]:
            for turn in super().turns(x, y, step):
                if step == 25 and Once.broken == 0:
                    Once.broken += 1
                    yield turn._replace(loss=turn.loss * math.nan)
                else:
                    yield turn

    state = fit(made(Once), data(), Training(steps=40, batch_size=8))
    assert (state.step, state.failures, state.lowered) == (40, 1, 0.5)
    assert all(p.isfinite().all() for p in state.model.parameters())


def test_it_gives_up_after_three_roll_backs_and_names_player_step_and_tensor() -> None:
    class Always(Plain):
        def turns(self, x: Tensor, y: Tensor | None = None, step: int = 0) -> Iterator[Turn]:
            h = self.net(x.float())
            root = (self.net.weight[0, 0] * 0).sqrt() if step >= 7 else 0  # a loss of 0, a gradient of infinity
            yield Turn("model", h.square().mean() + root)

    with pytest.raises(UserError, match=r"step 7: the gradient of model's net.weight is not finite, after 3") as error:
        fit(made(Always), data(), Training(steps=40, batch_size=8))
    assert "--lr" in str(error.value)


def test_a_long_gradient_is_cut_to_a_multiple_of_its_running_norm() -> None:
    model = made(Plain)
    player = Player("model", model, 1e-3, Training(clip=2.0, optimiser="sgd", betas=(0.0, 0.0)))
    for scale, factor in ((1.0, 1.0), (1.0, 1.0), (100.0, 0.02)):
        before = model.net.bias.detach().clone()
        model.net.weight.grad = torch.zeros(3, 3)
        model.net.bias.grad = torch.tensor([scale, 0.0, 0.0])
        player.move(1.0, ALONE)
        moved = (before - model.net.bias.detach())[0].item()
        assert moved == pytest.approx(1e-3 * scale * factor, rel=1e-4)


def test_the_average_copies_integers_and_averages_statistics() -> None:
    model = made(Duel)
    ema = averaged(model, 0.9)
    for k in range(1, 4):
        with torch.no_grad():
            model.norm.running_mean.fill_(float(k))
            model.norm.num_batches_tracked.fill_(k)
        ema.update_parameters(model)
    assert ema.module.norm.num_batches_tracked == 3
    # copy 1; then d = min(0.9^8, 2/11) and min(0.9^8, 3/12): 1 + (2 - 1)(1 - d1) and so on
    first = 1 + (2 - 1) * (1 - 2 / 11)
    assert ema.module.norm.running_mean[0].item() == pytest.approx(first + (3 - first) * (1 - 3 / 12))


def test_the_schedule_rises_falls_and_follows_the_clock() -> None:
    by_steps = Schedule(Training(steps=100, warmup=9), per_epoch=7)
    assert by_steps.rate(0, 0.0) == pytest.approx(0.1)
    assert by_steps.rate(50, 0.5) == pytest.approx(0.5)
    assert by_steps.rate(100, 1.0) == pytest.approx(0.0)
    assert Schedule(Training(epochs=2.5), per_epoch=7).steps == 18
    assert Schedule(Training(minutes=2), per_epoch=7).done(10**9, 30.0) == 0.25
    assert Schedule(Training(schedule="constant", warmup=0), per_epoch=7).rate(5, 0.9) == 1.0


def test_two_fits_with_one_seed_are_equal_and_another_seed_differs() -> None:
    numbers = Training(steps=20, batch_size=8)
    a, b, c = (fit(made(Duel), data(), numbers, seed=seed).model for seed in (0, 0, 1))
    assert alike(a, b)
    assert not alike(a, c)


def test_a_training_that_the_clock_ends_is_examined_at_its_end() -> None:
    """Else the last figure in the log would be of a younger model."""
    examined: list[tuple[int, bool]] = []

    def examine(model: Model, step: int, last: bool) -> dict[str, float]:
        examined.append((step, last))
        return {}

    state = fit(made(Plain), data(), Training(minutes=0.01, batch_size=8), examine=examine)
    assert examined[-1] == (state.step, True)
    assert sum(last for _, last in examined) == 1


def test_minutes_of_the_processor_are_those_it_worked() -> None:
    """Two trainings on one core get as much each as one alone."""

    class Waiting(Plain):
        def turns(self, x: Tensor, y: Tensor | None = None, step: int = 0) -> Iterator[Turn]:
            time.sleep(0.02)
            return super().turns(x, y, step)

    began = time.monotonic()
    state = fit(made(Waiting), data(), Training(minutes=0.001, clock="processor", batch_size=8))
    assert state.seconds >= 0.06
    assert time.monotonic() - began > state.seconds + 0.02 * (state.step - 1)


def test_minutes_add_nothing_to_what_is_solved() -> None:
    class Known(Plain, Solved):
        def solve(self, x: Tensor) -> None:
            nn.init.zeros_(self.net.weight)

    state = fit(made(Known), data(), Training(minutes=1000, steps=1, batch_size=8, lr=1e-9))
    assert state.step == 1
    assert not state.model.net.weight.abs().gt(1e-6).any()
