"""The game: who is moved by which turn, what a sample depends on, and what the networks are."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from lookalike.errors import UserError
from lookalike.models.implicit.gan.builders import gan
from lookalike.models.implicit.gan.conditions import Heads
from lookalike.models.implicit.gan.gan import GAN
from lookalike.nn.doors import missing
from lookalike.nn.gumbel import straight_through
from lookalike.recipe import find
from lookalike.spec import Column, Kind, Spec

POINTS = Spec("points", (2,), columns=(Column("a", mean=3.0, std=2.0), Column("b")), classes=("u", "v", "w"))
IMAGES = Spec("images", (1, 9, 8), levels=256, classes=("u", "v", "w"))
TABLE = Spec(
    "table",
    (3,),
    columns=(Column("age", mean=40.0, std=9.0, missing=True), Column("town", ("Bern", "Oslo", "Rome")), Column("pay")),
)
SPECS: dict[Kind, Spec] = {"points": POINTS, "images": IMAGES, "table": TABLE}
NAMES = ["r3", "r1", "gan", "ns-gan", "dcgan", "lsgan", "sngan", "wgan", "wgan-gp", "dragan", "ebgan", "began"]
CASES = [(name, kind) for name in NAMES for kind in find(name).kinds]


def data(spec: Spec, B: int) -> Tensor:
    if spec.kind == "images":
        return torch.randint(0, spec.levels, (B, *spec.shape)) / (spec.levels - 1)
    x = torch.randn(B, *spec.shape, dtype=torch.float64)
    if spec.kind == "table":
        x[:, 1] = torch.randint(0, 3, (B,)).double()
        x[::3, 0] = math.nan
    return x


def small(name: str, kind: Kind, **options) -> GAN:
    return find(name).resolved(kind, {"width": 8, "latent": 5, **options}).model(SPECS[kind])


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_a_turn_moves_only_its_player_and_the_discriminator_plays_n_critic_times_first(name, kind):
    model = small(name, kind)
    players = model.players()
    played = []
    for turn in model.turns(data(model.spec, 6)):
        before = {n: [p.clone() for p in player.parameters()] for n, player in players.items()}
        own = list(players[turn.player].parameters())
        turn.loss.backward(inputs=own)
        torch.optim.SGD(own, lr=0.1).step()
        moved = {
            n: sum(not torch.equal(p, q) for p, q in zip(before[n], players[n].parameters(), strict=True))
            for n in players
        }
        assert moved.pop(turn.player) > len(own) / 3
        assert not any(moved.values())
        played.append(turn.player)
    assert played == ["discriminator"] * model.n_critic + ["generator"]


@pytest.mark.parametrize("kind", SPECS)
def test_the_discriminators_turn_computes_no_gradient_of_the_generator(kind):
    model = small("r3", kind)
    turn = next(model.turns(data(model.spec, 4)))
    found = torch.autograd.grad(turn.loss, list(model.generator.parameters()), allow_unused=True)
    assert all(g is None for g in found)


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_a_sample_depends_on_its_own_code_only(name, kind):
    model = small(name, kind)
    with torch.no_grad():
        for _ in range(20):  # so that batch statistics are not where they began
            model.generate(model.prior(6))
    model.eval()
    z = model.prior(5, seed=3)
    torch.testing.assert_close(model.decode(z)[2:3], model.decode(z[2:3]), rtol=0, atol=1e-6, equal_nan=True)
    assert torch.equal(model.sample(4, seed=1).nan_to_num(-1), model.sample(4, seed=1).nan_to_num(-1))
    assert not torch.equal(model.sample(4, seed=1), model.sample(4, seed=2))
    if kind != "table":  # whose samples draw their categories too
        near = 1 / (model.spec.levels - 1) if kind == "images" else 1e-6
        assert (model.sample(5, seed=3) - model.decode(z)).abs().max() <= near / 2 + 1e-6


def test_a_table_is_made_of_valid_rows_and_numbers_that_are_missing_are_zero():
    model = small("r3", "table").eval()
    h = model.generate(model.prior(400))
    for field in model.door.fields:
        part = h[:, field.entries]
        if not field.real:
            torch.testing.assert_close(part.sort(1).values, torch.eye(field.width)[-1].expand_as(part))
        elif field.gate >= 0:
            gone = missing(h, field)
            assert gone.any()
            assert not gone.all()
            assert (part[gone] == 0).all()
            assert (part[~gone] != 0).any()
    x = model.sample(400, seed=0)
    assert set(x[:, 1].tolist()) == {0.0, 1.0, 2.0}
    assert x[:, 0].isnan().any()
    assert not x[:, 2].isnan().any()


def test_gumbel_draws_have_the_softmaxs_probabilities_and_its_gradient():
    logits = torch.tensor([1.0, 0.0, -1.0]).repeat(20_000, 1)
    for temperature in (0.5, 1.0):
        probs = (logits[0] / temperature).softmax(0)
        shares = straight_through(logits, temperature).mean(0)
        standard_error = (probs * (1 - probs) / len(logits)).sqrt()
        assert ((shares - probs).abs() < 4 * standard_error).all()
    one = torch.tensor([[0.3, 0.1]], dtype=torch.float64, requires_grad=True)
    hard = straight_through(one, temperature=0.0)
    assert hard.tolist() == [[1.0, 0.0]]
    (found,) = torch.autograd.grad(hard[0, 0], one)
    (soft,) = torch.autograd.grad((one / 0.2).softmax(1)[0, 0], one)
    torch.testing.assert_close(found, soft)


def test_spectral_constraint_divides_by_the_largest_singular_value():
    model = small("sngan", "images").train()
    h = torch.randn(2, *IMAGES.shape)
    with torch.no_grad():
        for _ in range(300):
            model.discriminator(h)
    weights = [m.weight for m in model.discriminator.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(weights) >= 2
    for weight in weights:
        largest = torch.linalg.svdvals(weight.detach().flatten(1))[0]
        assert largest.item() == pytest.approx(1.0, abs=1e-3)


def test_a_projected_logit_is_linear_in_the_labels_vector():
    D = Heads(nn.Linear(4, 16), 16, 3)
    h, y = torch.randn(5, 4), torch.tensor([0, 1, 2, 0, 1])
    logits = []
    for scale in (0.0, 1.0, 3.0):
        with torch.no_grad():
            D.embed.weight.copy_(scale * torch.arange(48.0).view(3, 16) / 48)
            logits.append(D(h, y))
    torch.testing.assert_close(logits[2] - logits[0], 3 * (logits[1] - logits[0]))
    assert (logits[1] != logits[0]).any()


@pytest.mark.parametrize("condition", ["concat", "projection"])
@pytest.mark.parametrize("kind", ["points", "images"])
@pytest.mark.parametrize("penalty", ["r1+r2", "wgan-gp"])
def test_a_conditional_game_gives_each_item_its_own_label_and_obeys_it(condition, kind, penalty):
    model = small("r3", kind, condition=condition, penalty=penalty).double()
    x, y = data(model.spec, 6).double(), torch.tensor([0, 1, 2, 0, 1, 2])
    first = []
    for order in (torch.arange(6), torch.tensor([3, 0, 5, 1, 4, 2])):
        model.prior = lambda n, order=order, **_: torch.linspace(-1, 1, 30).view(6, 5).double()[order]
        if penalty == "r1+r2":
            first.append([turn.loss.item() for turn in model.turns(x[order], y[order])])
    for losses in zip(*first, strict=True):  # items and labels reordered together: the same game
        assert losses[0] == pytest.approx(losses[1], rel=1e-9)
    assert all(turn.loss.isfinite() for turn in model.turns(x, y))
    del model.prior
    model.eval()
    z = model.prior(1, seed=0).expand(2, -1)
    a, b = model.decode(z, torch.tensor([0, 1]))
    assert not torch.equal(a, b)
    assert model.sample(4, torch.tensor([0, 1, 2, 2]), seed=0).shape == (4, *model.spec.shape)
    for bad in (torch.tensor([0, 3]), torch.tensor([0]), None):
        with pytest.raises(UserError, match="from 0 to 2"):
            model.decode(z, bad)


def test_networks_judge_data_and_samples_apart_where_batch_norm_would_mix_them():
    """One pass over both would show the discriminator their mean; two passes give what two calls give."""
    model = small("dcgan", "images").train()
    real, fake = torch.rand(4, *IMAGES.shape) * 2 - 1, torch.zeros(4, *IMAGES.shape)
    (real_logits, _), _ = model._judge(real, fake, None)
    torch.testing.assert_close(real_logits, model.logits(real))


def test_dcgan_weights_start_at_its_papers_deviation():
    model = find("dcgan").resolved("images").model(Spec("images", (3, 32, 32), levels=256))
    for player in model.players().values():
        weights = torch.cat(
            [m.weight.flatten() for m in player.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
        )
        assert weights.std().item() == pytest.approx(0.02, rel=0.02)


def test_labels_given_to_a_gan_without_are_refused():
    with pytest.raises(UserError, match="without labels"):
        small("r3", "points").sample(2, torch.tensor([0, 1]))


def test_truncated_samples_are_of_codes_within_the_limit_and_at_0_all_of_the_origin():
    model = small("r3", "points").eval()
    assert model.prior(500, seed=0, truncation=0.5).abs().max() <= 0.5
    origin = model.decode(torch.zeros(1, 5)).expand(4, -1)
    torch.testing.assert_close(model.sample(4, seed=0, truncation=0.0), origin)
    assert model.sample(40, seed=0, truncation=0.2).std(0).max() < model.sample(40, seed=0).std(0).max()


def test_ones_own_networks_take_the_place_of_ours():
    model = gan(
        POINTS,
        latent=5,
        generator=nn.Linear(5, 2),
        discriminator=nn.Sequential(nn.Linear(2, 9), nn.SiLU(), nn.Linear(9, 1)),
    )
    assert all(turn.loss.isfinite() for turn in model.turns(data(POINTS, 4)))
    assert sum(p.numel() for p in model.parameters()) == 12 + 37
