"""What single slots promise: clip, the controller, energies, patches, and a penalty that is paid now and then."""

from __future__ import annotations

import contextlib
import copy

import pytest
import torch
from torch import nn

from lookalike.data import open_data
from lookalike.models.implicit.gan.balance import Controller
from lookalike.models.implicit.gan.builders import gan
from lookalike.models.implicit.gan.critics import Energy
from lookalike.recipe import Training, find
from lookalike.spec import Column, Spec
from lookalike.training.loop import fit
from lookalike.training.players import Player
from lookalike.training.processes import ALONE

POINTS = Spec("points", (2,), columns=(Column("a"), Column("b")))
IMAGES = Spec("images", (1, 28, 28), levels=256)


def test_clip_keeps_every_weight_within_its_bound_after_each_move():
    torch.manual_seed(0)
    model = gan(POINTS, objective="wasserstein", penalty="none", constraint="clip", bound=0.05, n_critic=2, width=8)
    within = []
    for turn in model.turns(torch.randn(6, 2, dtype=torch.float64)):
        within.append(max(p.abs().max().item() for p in model.discriminator.parameters()))
        player = model.players()[turn.player]
        turn.loss.backward(inputs=list(player.parameters()))
        torch.optim.SGD(player.parameters(), lr=0.5).step()
    assert within[0] > 0.05
    assert within[1:] == [pytest.approx(0.05)] * 2


def test_the_controller_is_began_s_and_stays_between_0_and_1():
    """k moves by gain (diversity E(x) - E(G(z))): up while samples have less than their share of the energy."""
    control = Controller(diversity=0.5, gain=0.1)
    real, fake = torch.tensor([-2.0, -4.0]), torch.tensor([-0.5, -0.7])
    control.follow(real, fake)
    assert control.k.item() == pytest.approx(0.1 * (0.5 * 3.0 - 0.6))
    torch.testing.assert_close(control(fake), control.k * fake)
    logs = control.logs(real, fake)
    assert logs["convergence"].item() == pytest.approx(3.0 + abs(0.5 * 3.0 - 0.6))
    for fakes, end in ((-9.0, 0.0), (-0.1, 1.0)):
        for _ in range(100):
            control.follow(real, torch.full((2,), fakes))
        assert control.k.item() == end


def test_the_controllers_k_is_moved_once_a_step_and_saved_with_the_model():
    model = gan(POINTS, objective="boundary", critic="autoencoder", penalty="none", gain=0.5, n_critic=2, width=8)
    for step in range(3):
        for _ in model.turns(torch.randn(6, 2, dtype=torch.float64), step=step):
            before = model.controller.k.item()
        assert model.controller.k.item() != before or before in (0.0, 1.0)
    assert model.state_dict()["controller.k"].item() == model.controller.k.item() > 0


@pytest.mark.parametrize(("error", "power"), [("squared", 2), ("absolute", 1)])
def test_an_energy_is_an_autoencoders_error_and_does_not_grow_with_the_item(error, power):
    class Off(nn.Module):
        def forward(self, h):
            return h + 3

    for shape in ((4,), (3, 8, 8)):
        logits = Energy(Off(), error)(torch.randn(5, *shape))
        torch.testing.assert_close(logits, torch.full((5, 1), -(3.0**power)))
    assert Energy(nn.Identity(), error)(torch.randn(5, 4)).abs().max() == 0


def test_a_told_code_is_the_one_the_error_is_made_through():
    encoder, decoder = nn.Linear(6, 2), nn.Linear(2, 6)
    h = torch.randn(3, 6)
    said = Energy(nn.Sequential(encoder, decoder), "squared", told=True)(h)
    torch.testing.assert_close(said[:, 1:], encoder(h))
    torch.testing.assert_close(said[:, :1], Energy(nn.Sequential(encoder, decoder), "squared")(h))


def test_a_patchs_logit_is_of_a_part_of_the_image_only():
    model = gan(IMAGES, critic="patch", block="plain", width=4, latent=3)
    h = torch.randn(1, 1, 28, 28, dtype=torch.float64, requires_grad=True)
    logits = model.double().logits(h)
    assert logits.shape == (1, 7, 7)
    (slope,) = torch.autograd.grad(logits[0, 3, 3], h)
    rows = slope[0, 0].abs().sum(1).nonzero()
    assert (rows.max() - rows.min() + 1).item() == 18


def test_a_penalty_that_is_paid_every_second_turn_is_missing_from_the_others():
    model = gan(POINTS, penalty_every=2, n_critic=3, width=8)
    x = torch.randn(6, 2, dtype=torch.float64)
    paid = ["penalty" in t.logs for step in range(2) for t in model.turns(x, step=step) if t.player == "discriminator"]
    assert paid == [True, False, True, False, True, False]


def test_momentum_sgd_and_rmsprop_move_as_their_papers_say():
    """SGD: v <- m v + g, w <- w - lr v. RMSprop: s <- a s + (1 - a) g^2, w <- w - lr g / sqrt(s)."""
    for optimiser, moves in {"sgd": (1.0, 1.5), "rmsprop": (1 / 0.1**0.5, 1 / 0.19**0.5)}.items():
        layer = nn.Linear(1, 1, bias=False)
        player = Player("p", layer, 0.1, Training(optimiser=optimiser, betas=(0.5, 0.9), clip=0.0))
        for move in moves:
            before = layer.weight.item()
            layer.weight.grad = torch.ones(1, 1)
            player.move(1.0, ALONE)
            assert before - layer.weight.item() == pytest.approx(0.1 * move, rel=1e-4)


class Kept:
    """What `fit` needs of a run, in memory."""

    saved: tuple | None = None

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


@pytest.mark.parametrize(
    "options",
    [
        {"penalty_weight": "auto"},
        {"objective": "boundary", "critic": "autoencoder", "penalty": "none", "gain": 0.1},
    ],
)
def test_a_training_cut_while_it_measures_and_controls_ends_bit_for_bit_as_if_it_were_not(options):
    data = open_data("ring8")
    resolved = find("r1").resolved("points", {"steps": 20, "batch_size": 16, "width": 8, **options})

    def made(seed):
        torch.manual_seed(seed)
        return resolved.model(data.spec)

    whole = fit(made(0), data, resolved.numbers, seed=3)
    folder = Kept()

    def cut(model, step, last):
        if step == 7:
            raise InterruptedError
        return {}

    with contextlib.suppress(InterruptedError):
        fit(made(0), data, resolved.numbers, run=folder, seed=3, examine=cut)
    assert folder.saved[2]["step"] < 20
    again = fit(made(9), data, resolved.numbers, run=folder, seed=3, resume=True)
    state = whole.model.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in again.model.state_dict().items())
    assert {"price.forces", "controller.k"} & set(state)
