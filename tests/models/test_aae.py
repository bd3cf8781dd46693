"""The game of three turns: who is moved by which, what posteriors and priors are, and that codes match the prior."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

import lookalike
from lookalike.errors import UserError
from lookalike.models.implicit.aae.aae import AAE, beside
from lookalike.models.implicit.aae.builders import aae
from lookalike.models.implicit.aae.priors import Gaussian, Mixture, Own, Prior, SwissRoll
from lookalike.recipe import find
from lookalike.spec import Column, Spec
from lookalike.training.loop import fit

POINTS = Spec("points", (2,), columns=(Column("a", mean=3.0, std=2.0), Column("b")), classes=("u", "v", "w"))
IMAGES = Spec("images", (1, 9, 8), levels=256, classes=("u", "v", "w"))
SMALL = {"width": 8, "depth": 1, "discriminator_hidden": (8,)}


class Ring(nn.Module):
    """The unit circle, or of labels 0, 1, ... a third of it each."""

    def forward(self, n: int, y: Tensor | None = None) -> Tensor:
        u = torch.rand(n) if y is None else (y + torch.rand(n)) / 3
        return torch.stack([(2 * math.pi * u).cos(), (2 * math.pi * u).sin()], dim=1)


def some(spec: Spec, B: int = 6) -> tuple[Tensor, Tensor]:
    x = torch.randint(0, 256, (B, *spec.shape)) / 255 if spec.kind == "images" else torch.randn(B, *spec.shape)
    return x, torch.arange(B) % 3


@pytest.mark.parametrize("posterior", ["deterministic", "gaussian", "universal"])
@pytest.mark.parametrize("spec", [POINTS, IMAGES], ids=lambda spec: spec.kind)
def test_a_turn_moves_only_its_player_and_the_encoder_plays_twice(spec, posterior):
    model = aae(spec, latent=3, posterior=posterior, n_critic=2, **SMALL)
    parts = {"encoder": model.encoder, "decoder": model.decoder, "discriminator": model.discriminator}
    moved, played = [], []
    for turn in model.turns(*some(spec)):
        before = {name: [p.clone() for p in part.parameters()] for name, part in parts.items()}
        own = list(model.players()[turn.player].parameters())
        turn.loss.backward(inputs=own)
        torch.optim.SGD(own, lr=0.1).step()
        played.append(turn.player)
        moved.append(
            {n for n in parts for p, q in zip(before[n], parts[n].parameters(), strict=True) if (p != q).any()}
        )
        for p in model.parameters():
            p.grad = None
    assert played == ["autoencoder", "discriminator", "discriminator", "encoder"]
    assert moved == [{"encoder", "decoder"}, {"discriminator"}, {"discriminator"}, {"encoder"}]


def test_the_losses_are_the_papers_with_the_discriminators_of_codes():
    """log D(z) + log(1 - D(f(x))), then -log D(f(x)); with no penalty and a deterministic code."""
    model = aae(POINTS, latent=2, penalty="none", **SMALL).double()
    x = some(POINTS)[0].double()
    draws = torch.randn(6, 2).double()
    model.code_prior.forward = lambda n, *_: draws
    turns = list(model.turns(x))
    d_real, d_fake = model.logits(draws).sigmoid(), model.logits(model.encode(x)).sigmoid()
    torch.testing.assert_close(turns[1].loss, -(d_real.log().mean() + (1 - d_fake).log().mean()))
    torch.testing.assert_close(turns[2].loss, -d_fake.log().mean())
    params = model.decoder(model.encode(x))
    torch.testing.assert_close(turns[0].logs["distortion"], -model.likelihood.log_prob(x, params).mean())


def test_each_posterior_is_what_it_says():
    x = some(POINTS)[0]
    one = aae(POINTS, latent=3, posterior="deterministic", **SMALL)
    torch.testing.assert_close(one.draw_codes(x), one.encode(x))

    normal = aae(POINTS, latent=3, posterior="gaussian", **SMALL)
    mean, log_var = normal.encoder(normal.door.enter(x)).chunk(2, dim=1)
    torch.testing.assert_close(normal.encode(x), mean)
    draws = normal.draw_codes(x.repeat(4000, 1)).unflatten(0, (4000, 6))
    deviation = (0.5 * log_var).exp()
    assert ((draws.mean(0) - mean).abs() < 5 * deviation / 4000**0.5).all()
    torch.testing.assert_close(draws.std(0), deviation, rtol=0.1, atol=0)

    any_ = aae(POINTS, latent=3, posterior="universal", noise=4, **SMALL)
    h = any_.door.enter(x)
    torch.testing.assert_close(any_.encode(x), any_.encoder(beside(h, torch.zeros(6, 4))))
    assert not torch.equal(any_.draw_codes(x, seed=1), any_.draw_codes(x, seed=2))
    assert torch.equal(any_.draw_codes(x, seed=1), any_.draw_codes(x, seed=1))


def test_noise_beside_an_image_is_constant_over_its_places():
    h, eps = torch.randn(2, 1, 5, 4), torch.randn(2, 3)
    both = beside(h, eps)
    assert both.shape == (2, 4, 5, 4)
    assert torch.equal(both[:, :1], h)
    assert torch.equal(both[:, 1:, 3, 2], eps)
    assert (both[:, 1:].flatten(2).std(2) == 0).all()


@pytest.mark.parametrize("prior", [Gaussian(3), Mixture(3), SwissRoll(3)], ids=lambda p: type(p).__name__)
def test_priors_have_about_unit_variance_and_normal_numbers_beyond_their_plane(prior: Prior):
    z = prior(20_000)
    assert z.shape == (20_000, 3)
    assert ((z.var(0) > 0.7) & (z.var(0) < 1.4)).all()
    assert (z.mean(0).abs() < 0.4).all()
    torch.testing.assert_close(torch.cov(z.T)[2], torch.tensor([0.0, 0.0, 1.0]), atol=0.05, rtol=0)
    assert not torch.equal(prior(5), prior(5))


def test_the_parts_of_labels_add_up_to_the_whole_prior_and_do_not_meet():
    y = torch.arange(30_000) % 3
    for prior in (Mixture(2, classes=3), SwissRoll(2, classes=3)):
        parted, whole = prior(len(y), y), prior(len(y))
        for power in (1, 2, 3):
            torch.testing.assert_close(parted.pow(power).mean(0), whole.pow(power).mean(0), atol=0.06, rtol=0.02)
    petals = Mixture(2, classes=3)(300, torch.arange(300) % 3)
    nearest = torch.atan2(petals[:, 1], petals[:, 0]).div(2 * math.pi / 3).round() % 3
    assert (nearest == torch.arange(300) % 3).float().mean() > 0.97
    radius = SwissRoll(2, classes=3)(3000, torch.arange(3000) % 3).norm(dim=1).view(-1, 3)
    for k in range(3):  # from 2 sqrt(k / 3) to 2 sqrt((k + 1) / 3), and the thickness
        low, high = 2 * (k / 3) ** 0.5, 2 * ((k + 1) / 3) ** 0.5
        assert radius[:, k].min() > low - 0.25
        assert radius[:, k].max() < high + 0.25


@pytest.mark.parametrize("name", ["gaussian", "mixture", "swiss-roll"])
def test_a_low_temperature_or_truncation_keeps_near_the_middle(name):
    model = aae(POINTS, latent=3, code_prior=name, **SMALL)
    spread = [model.prior(4000, seed=0, temperature=t)[:, 2].std() for t in (1.0, 0.5, 0.0)]
    torch.testing.assert_close(torch.stack(spread), torch.tensor([1.0, 0.5, 0.0]), atol=0.05, rtol=0)
    assert model.truncates == (name == "gaussian")
    assert not model.truncates or model.prior(4000, truncation=0.7).abs().max() <= 0.7
    assert torch.equal(model.prior(5, seed=3), model.prior(5, seed=3))


def test_a_label_says_what_is_drawn_where_it_has_a_part_and_what_is_decoded_where_the_decoder_has_it():
    x, y = some(POINTS)
    of_prior = aae(POINTS, latent=2, code_prior="mixture", condition="prior", **SMALL)
    z = of_prior.prior(3000, torch.zeros(3000, dtype=torch.long), seed=0)
    assert (z.mean(0) - torch.tensor([1.4, 0.0])).norm() < 0.05
    torch.testing.assert_close(of_prior.reconstruct(x, y), of_prior.reconstruct(x))  # no label is needed for a code
    with pytest.raises(UserError, match="give y, from 0 to 2"):
        next(of_prior.turns(x))
    one, other = (of_prior.logits(torch.zeros(1, 2), torch.tensor([k])) for k in (0, 1))
    assert one != other

    of_decoder = aae(POINTS, latent=2, condition="decoder", **SMALL)
    a, b = (of_decoder.decode(torch.zeros(1, 2), torch.tensor([k])) for k in (0, 1))
    assert not torch.equal(a, b)
    with pytest.raises(UserError, match="one y from 0 to 2"):
        of_decoder.decode(torch.zeros(2, 2))
    assert of_decoder.sample(4, seed=0).shape == (4, 2)
    assert all(turn.loss.isfinite() for turn in of_decoder.turns(x, y))


def test_samples_of_images_are_the_decoders_means_on_their_levels():
    model = aae(IMAGES, latent=3, **SMALL).eval()
    x, mean = model.sample(5, seed=1), model.decode(model.prior(5, seed=1))
    assert ((x - mean).abs() <= 0.5 / 255 + 1e-6).all()


def test_ones_own_networks_and_prior_take_the_place_of_ours():
    own = {"encoder": nn.Linear(2, 2), "decoder": nn.Linear(2, 6), "discriminator": nn.Linear(2, 1)}
    model = aae(POINTS, latent=2, sampler=Ring(), **own)
    assert sum(p.numel() for p in model.parameters()) == 6 + 18 + 3
    torch.testing.assert_close(model.prior(50, seed=0).norm(dim=1), torch.ones(50))
    with pytest.raises(UserError, match="no temperature"):
        model.sample(3, temperature=0.5)
    assert isinstance(aae(POINTS, latent=2, condition="prior", sampler=Ring()).code_prior, Own)


@pytest.mark.slow
def test_a_run_with_a_prior_of_ones_own_asks_for_it_again(tmp_path):
    ring = Ring().forward  # a plain function
    run = lookalike.train("aae", "moons", steps=2, warmup=0, out=tmp_path / "run", sampler=ring, width=8, device="cpu")
    assert lookalike.sample(run, n=3, out=tmp_path / "x.csv").facts["n"] == 3
    with pytest.raises(UserError, match=r"own sampler.*sampler=\.\.\."):
        lookalike.load(tmp_path / "run")
    assert lookalike.load(tmp_path / "run", sampler=ring).prior(4).shape == (4, 2)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"code_prior": "mixture", "latent": 1}, "--latent must be at least 2"),
        ({"condition": "prior"}, "no parts to give to labels"),
        ({"objective": "wasserstein", "penalty": "none"}, "no lowest value"),
        ({"likelihood": "bernoulli"}, "for images"),
        ({"sampler": lambda n: torch.randn(n, 5)}, r"needs \(2, 2\)"),
        ({"encoder": nn.Linear(2, 5)}, r"needs \(B, 2\)"),
        ({"discriminator": nn.Linear(2, 2)}, r"needs \(B, 1\)"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_reason(options, reason):
    with pytest.raises(UserError, match=reason):
        aae(POINTS, **{"latent": 2, **options})
    with pytest.raises(UserError, match="needs labels"):
        aae(Spec("points", (2,), columns=POINTS.columns), latent=2, condition="decoder")


# That codes are distributed like the prior


def energy_test(a: Tensor, b: Tensor, shuffles: int = 200) -> tuple[float, float]:
    """The energy distance of two samples, and the share of shuffled pairs of samples that are as far apart.

    Székely & Rizzo (2004), "Testing for equal distributions in high dimension".
    """
    both = torch.cat([a, b]).double()
    distance = torch.cdist(both, both)
    side = torch.cat([torch.full((len(a),), 1 / len(a)), torch.full((len(b),), -1 / len(b))]).double()
    sides = torch.stack([side, *(side[torch.randperm(len(both))] for _ in range(shuffles))])
    energy = -((sides @ distance) * sides).sum(1)  # 2 E |a - b| - E |a - a'| - E |b - b'|
    return energy[0].item(), (1 + int((energy[1:] >= energy[0]).sum())) / (shuffles + 1)


def test_the_two_sample_test_tells_unlike_samples_and_passes_like_ones():
    like = [energy_test(torch.randn(200, 2), torch.randn(200, 2))[1] for _ in range(20)]
    assert 0.25 < sum(like) / 20 < 0.75  # uniform
    assert energy_test(torch.randn(200, 2), 1.4 * torch.randn(200, 2))[1] < 0.02


def trained(data: str, steps: int, **options) -> tuple[AAE, Tensor, Tensor | None]:
    """A model and held-out items that it has not seen."""
    opened = lookalike.open_data(data)
    recipe = find("aae").resolved(opened.spec.kind, {"steps": steps, **options})
    torch.manual_seed(0)
    model = fit(recipe.model(opened.spec), opened, recipe.numbers).average.eval()
    x, y = opened.test.first(300)
    return model, x, y


@pytest.mark.slow
def test_codes_of_held_out_items_pass_for_draws_of_the_prior():
    """Digits in two numbers; before training the same test is certain that they differ."""
    model, x, _ = trained("digits", 500, latent=2, width=8, lr=2e-3)
    before = aae(model.spec, latent=2, width=8).eval()
    draws = model.prior(300, seed=1)
    assert energy_test(before.draw_codes(x), draws)[1] < 0.01
    distance, p = energy_test(model.draw_codes(x, seed=2), draws)
    assert p > 0.01, f"codes are told from draws of the prior: energy distance {distance:.3f}, p = {p:.3f}"


@pytest.mark.proof
@pytest.mark.parametrize("code_prior", ["gaussian", "mixture", "swiss-roll"])
@pytest.mark.parametrize("posterior", ["deterministic", "gaussian", "universal"])
def test_codes_match_every_prior_by_every_posterior(posterior, code_prior):
    model, x, _ = trained("digits", 1500, latent=2, posterior=posterior, code_prior=code_prior)
    _, p = energy_test(model.draw_codes(x, seed=2), model.prior(300, seed=1))
    assert p > 0.01


@pytest.mark.proof
@pytest.mark.parametrize("code_prior", ["mixture", "swiss-roll"])
def test_labels_shape_the_code(code_prior):
    """The codes of a class lie in the part of the prior that its label was given: nearest draws have the label."""
    options = {"latent": 2, "width": 16, "batch_size": 128, "code_prior": code_prior, "condition": "prior"}
    model, x, y = trained("digits", 3000, **options)
    of = torch.arange(2000) % 10
    nearest = torch.cdist(model.encode(x).detach(), model.prior(2000, of, seed=1)).argmin(1)
    assert (of[nearest] == y).float().mean() > 0.6  # by chance 0.1; 0.73 was seen of the mixture
