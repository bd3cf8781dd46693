"""What a discriminator tells beside its logit: the law of codes, the bound on information, and whom each term moves."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Normal
from torch.nn import functional as F

from lookalike.errors import UserError
from lookalike.models.implicit.gan.builders import gan
from lookalike.models.implicit.gan.conditions import Codes, Heads, Told
from lookalike.models.implicit.gan.gan import GAN
from lookalike.spec import Column, Spec

POINTS = Spec("points", (2,), columns=(Column("a", mean=3.0, std=2.0), Column("b")), classes=("u", "v", "w"))
IMAGES = Spec("images", (1, 9, 8), levels=256, classes=("u", "v", "w"))
SPECS = {"points": POINTS, "images": IMAGES}
CODES = Codes((3, 2), 2)
LIKE = torch.zeros((), dtype=torch.float64)


def data(spec: Spec, B: int) -> Tensor:
    return torch.rand(B, *spec.shape) if spec.kind == "images" else torch.randn(B, 2, dtype=torch.float64)


def small(kind: str, **options) -> GAN:
    torch.manual_seed(0)
    return gan(SPECS[kind], width=8, latent=4, **options)


def test_codes_are_drawn_from_their_law_and_at_temperature_0_always_alike():
    torch.manual_seed(0)
    c = CODES.draw(30_000, LIKE)
    assert c.shape == (30_000, CODES.width)
    for hot in c[:, :5].split((3, 2), dim=1):
        assert (hot.sum(1) == 1).all()
        K = hot.shape[1]
        assert (hot.mean(0) - 1 / K).abs().max() < 4 * (1 / K / 30_000) ** 0.5
    numbers = c[:, 5:]
    assert numbers.abs().max() <= 1
    assert numbers.var(0).sub(1 / 3).abs().max() < 0.01
    cold = CODES.draw(5, LIKE, temperature=0.0)
    assert torch.equal(cold, cold[:1].expand(5, -1))


def test_information_is_the_log_probability_of_the_code_over_its_own():
    torch.manual_seed(0)
    said, c = torch.randn(7, CODES.width, dtype=torch.float64), CODES.draw(7, LIKE)
    exact = torch.full((7,), math.log(3) + math.log(2) + 2 * math.log(2), dtype=torch.float64)
    exact += (said[:, :3].log_softmax(1) * c[:, :3]).sum(1) + (said[:, 3:5].log_softmax(1) * c[:, 3:5]).sum(1)
    exact += Normal(said[:, 5:], 1.0).log_prob(c[:, 5:]).sum(1)
    torch.testing.assert_close(CODES.information(said, c), exact)
    torch.testing.assert_close(
        CODES.read(said), torch.cat([said[:, :3].softmax(1), said[:, 3:5].softmax(1), said[:, 5:]], dim=1)
    )


def test_the_bound_is_below_the_information_and_meets_it_at_the_posterior():
    """A channel that swaps two categories one time in five: I(c; x) = log 2 - H(1/5)."""
    codes, p = Codes((2,)), torch.tensor([[0.8, 0.2], [0.2, 0.8]], dtype=torch.float64)
    exact = math.log(2) + (0.8 * math.log(0.8) + 0.2 * math.log(0.2))
    c = torch.eye(2, dtype=torch.float64)

    def bound(logits: Tensor) -> float:
        """E over c and x of the bound, by their probabilities, with Q(. | x) of logits[x]."""
        terms = [p[a, x] / 2 * codes.information(logits[x : x + 1], c[a : a + 1])[0] for a in (0, 1) for x in (0, 1)]
        return sum(terms).item()

    assert bound(p.log()) == pytest.approx(exact, abs=1e-12)
    torch.manual_seed(0)
    assert all(bound(torch.randn(2, 2, dtype=torch.float64)) <= exact for _ in range(50))


@pytest.mark.parametrize("kind", SPECS)
def test_the_information_term_has_a_gradient_to_the_generator_and_to_q(kind):
    model = small(kind, categorical_codes=(3,), continuous_codes=1, penalty="none", objective="nonsaturating")
    silent = nn.Parameter(torch.zeros(()))
    model.discriminator.linear = Silent(silent)  # the logit is constant: what moves G is the code alone
    turns = list(model.turns(data(model.spec, 6)))
    for turn, module in zip(turns, (model.discriminator.says, model.generator), strict=True):
        gradients = torch.autograd.grad(turn.loss, list(module.parameters()), allow_unused=True, retain_graph=True)
        assert sum(g.abs().sum() for g in gradients if g is not None) > 0
    assert "information" in turns[0].logs
    body = torch.autograd.grad(turns[0].loss, list(model.discriminator.features.parameters()))
    assert sum(g.abs().sum() for g in body) > 0  # Q shares it


class Silent(nn.Module):
    def __init__(self, zero: nn.Parameter) -> None:
        super().__init__()
        self.zero = zero

    def forward(self, phi: Tensor) -> Tensor:
        return self.zero.expand(len(phi), 1)


@pytest.mark.parametrize("kind", SPECS)
def test_the_auxiliary_classifier_is_taught_by_both_and_teaches_the_generator(kind):
    model = small(kind, condition="classifier", penalty="none", objective="nonsaturating", class_weight=2.0)
    x, y = data(model.spec, 6), torch.tensor([0, 1, 2, 0, 1, 2])
    z = model.prior(6, seed=0)
    model.prior = lambda *_, **__: z
    discriminator, generator = model.turns(x, y)
    fake, real = model.generate(z, y), model.door.enter(x)
    (real_logits, real_said), (fake_logits, fake_said) = model.opinion(real), model.opinion(fake)
    classes = F.cross_entropy(real_said, y), F.cross_entropy(fake_said, y)
    loss = F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean() + 2 * sum(classes)
    torch.testing.assert_close(discriminator.loss, loss)
    torch.testing.assert_close(generator.loss, F.softplus(-fake_logits).mean() + 2 * classes[1])
    torch.testing.assert_close(discriminator.logs["class_loss"], classes[0])
    assert model.discriminator(real).shape == (6, 4)  # it is given no labels


def test_the_slope_that_is_penalised_is_the_logits_alone():
    model = small("points", categorical_codes=(3,), penalty="r1")
    with torch.no_grad():
        for p in model.discriminator.linear.parameters():
            p.zero_()
    turn = next(model.turns(data(POINTS, 6)))
    assert turn.logs["penalty"] == 0


def test_a_code_that_is_asked_for_is_the_one_the_generator_is_given():
    model = small("points", categorical_codes=(3, 2), continuous_codes=1).eval()
    assert model.choices == 3
    assert model.latent == 4 + 6
    given = []
    model.generator.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))
    free, y = model.sample(5, seed=1), torch.tensor([2, 0, 1, 1, 2])
    asked = model.sample(5, y, seed=1)
    assert torch.equal(given[1][:, 4:7].argmax(1), y)
    assert torch.equal(given[0][:, 7:], given[1][:, 7:])  # the noise and the other codes are the seed's
    assert torch.equal(given[0][:, :4], given[1][:, :4])
    assert free.shape == asked.shape
    for bad in (torch.tensor([3]), torch.tensor([0, 1])):
        with pytest.raises(UserError, match="from 0 to 2"):
            model.sample(1, bad)


def test_what_is_encoded_is_what_q_says():
    model = small("images", categorical_codes=(3,), continuous_codes=1).eval()
    x = data(IMAGES, 5)
    found = model.encode(x)
    assert found.shape == (5, 4)
    torch.testing.assert_close(found[:, :3].sum(1), torch.ones(5))
    torch.testing.assert_close(found, model.told.codes.read(model.opinion(2 * x - 1)[1]))
    assert not small("images").informed
    with pytest.raises(UserError, match="no code to read"):
        small("images").encode(x)


@pytest.mark.parametrize("condition", ["none", "concat", "projection", "classifier"])
def test_codes_go_with_every_condition(condition):
    model = small("points", condition=condition, categorical_codes=(2,))
    x, y = data(POINTS, 6), torch.tensor([0, 1, 2, 0, 1, 2])
    assert all(turn.loss.isfinite() for turn in model.turns(x, y))
    labels = None if condition == "none" else y
    assert model.encode(x, labels).shape == (6, 2)
    assert model.sample(6, labels, seed=0).shape == (6, 2)


def test_heads_read_one_body():
    heads = Heads(nn.Linear(4, 16), 16, outputs=5)
    said = heads(torch.randn(3, 4))
    assert said.shape == (3, 6)
    assert all(torch.autograd.grad(said[:, i].sum(), heads.features.weight, retain_graph=True)[0].any() for i in (0, 5))


def test_a_discriminator_of_ones_own_must_tell_what_is_asked():
    with pytest.raises(UserError, match=r"needs \(B, 4\)"):
        gan(POINTS, condition="classifier", discriminator=nn.Linear(2, 1))
    assert Told(3, Codes((10,), 2)).outputs == 3 + 10 + 2
