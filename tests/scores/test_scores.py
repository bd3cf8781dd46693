"""Scores by their definitions, and the detector's p by what it promises: so many false alarms and no more."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from lookalike.models.approximate.vae.builders import vae
from lookalike.models.autoencoder.builders import linear_ae
from lookalike.models.implicit.gan.builders import gan
from lookalike.models.tractable.flow.builders import realnvp
from lookalike.models.tractable.linear.gaussian import LinearGaussian
from lookalike.scores.base import UnfitError
from lookalike.scores.detector import Detector
from lookalike.scores.seen import Seen
from lookalike.scores.table import SCORES
from lookalike.scores.view import view
from lookalike.spec import Column, Spec

PLANE = Spec("points", (2,), columns=(Column("a", mean=1.0, std=2.0), Column("b", std=0.5)))
IMAGES = Spec("images", (1, 4, 4), 4)


def normal(n: int, seed: int = 0) -> torch.Tensor:
    """Points like those PLANE tells of."""
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(n, 2, generator=draw, dtype=torch.float64) * torch.tensor([2.0, 0.5]) + torch.tensor([1.0, 0.0])


def score_of(name, model):
    return SCORES[name](Seen(model))


@torch.no_grad()
def test_nearest_is_the_mean_distance_to_others_and_not_to_itself():
    model, known = linear_ae(PLANE, latent=1).eval(), normal(100)
    x = torch.cat([normal(5, seed=1), known[:5]])
    distances = torch.cdist(view(PLANE, x), view(PLANE, known))
    distances[torch.arange(5, 10), torch.arange(5)] = math.inf
    for name, k in (("neighbours", 5), ("crowd", 10)):
        score = score_of(name, model)
        score.fit(known)
        torch.testing.assert_close(score.score(x), distances.sort(1).values[:, :k].mean(1))
    parts = score_of("neighbours", model)
    parts.fit(known)
    near = view(PLANE, known)[distances[0].topk(5, largest=False).indices]
    torch.testing.assert_close(parts.parts(x)[0], (near - view(PLANE, x)[0]).square().mean(0))


def test_distances_are_in_plain_deviations_however_a_model_sees_a_column():
    bent = Spec("points", (1,), columns=(Column("a", mean=1.0, std=2.0, knots=((0.0, -3.0), (1.0, 0.0), (90.0, 3.0))),))
    x = torch.tensor([[1.0], [5.0], [81.0]], dtype=torch.float64)
    torch.testing.assert_close(view(bent, x)[:, 0], torch.tensor([0.0, 2.0, 40.0], dtype=torch.float64))


@torch.no_grad()
def test_surface_of_a_projection_is_the_distance_of_the_items():
    """x_hat and x - x_hat are at right angles where the decoder is the encoder's transpose, and that orthonormal."""
    model = linear_ae(PLANE, latent=1).double().eval()
    model.encoder[1].weight.copy_(torch.tensor([[0.6, 0.8]]))
    for bias in (model.encoder[1].bias, model.decoder[0].bias):
        bias.zero_()
    known, x = normal(60), normal(8, seed=4)
    a, b = score_of("surface", model), score_of("neighbours", model)
    a.fit(known), b.fit(known)
    torch.testing.assert_close(a.score(x), b.score(x))


def test_likelihood_of_a_solved_gaussian_orders_points_by_their_mahalanobis_distance():
    model = LinearGaussian(PLANE, latent=1, isotropic=False)
    model.solve(normal(5000))
    score = score_of("likelihood", model)
    x = normal(50, seed=2)
    distance = ((x - torch.tensor([1.0, 0.0])) / torch.tensor([2.0, 0.5])).square().sum(1)
    found = score.score(x)
    assert torch.corrcoef(torch.stack([found, distance]))[0, 1] > 0.99
    typical = score_of("typicality", model)
    typical.fit(normal(500))
    assert typical.score(torch.tensor([[1.0, 0.0]], dtype=torch.float64)) > typical.score(
        torch.tensor([[3.0, 0.5]], dtype=torch.float64)
    )  # the likeliest point of all is not a typical one


@torch.no_grad()
def test_reconstruction_is_the_squared_error_and_its_parts_are_by_column():
    mixed = Spec("table", (3,), columns=(Column("a", std=2.0, missing=True), Column("b", ("u", "v", "w")), Column("c")))
    model = linear_ae(mixed, latent=2)
    x = torch.tensor([[1.0, 2.0, 0.3], [math.nan, 0.0, -1.0]], dtype=torch.float64)
    score = score_of("reconstruction", model)
    wrong = (model.door.enter(x) - model.door.enter(model.reconstruct(x))).double().square()
    torch.testing.assert_close(score.score(x), wrong.mean(1))
    parts = score.parts(x)
    assert parts is not None
    torch.testing.assert_close(parts.sum(1), wrong.sum(1))
    torch.testing.assert_close(parts[:, 2], wrong[:, -1])
    images = linear_ae(IMAGES, latent=2)
    assert score_of("reconstruction", images).parts(torch.rand(2, 1, 4, 4)).shape == (2, 1, 4, 4)


@torch.no_grad()
def test_mahalanobis_is_that_of_the_codes():
    model = linear_ae(PLANE, latent=2)
    score = score_of("mahalanobis", model)
    score.fit(normal(4000))
    z = model.encode(normal(4000)).double()
    away = model.encode(normal(7, seed=3)).double() - z.mean(0)
    expected = (away @ torch.linalg.inv(z.T.cov()) * away).sum(1)
    torch.testing.assert_close(score.score(normal(7, seed=3)), expected, rtol=0.02, atol=0.02)


def test_a_critic_finds_odd_what_it_takes_for_samples():
    model = gan(PLANE, width=8, depth=1).eval()
    x = normal(20)
    with torch.no_grad():
        torch.testing.assert_close(score_of("critic", model).score(x), -model.logits(model.door.enter(x)).double())


def test_a_plain_picture_is_likelier_but_its_ratio_is_not_lower_for_that():
    model = vae(IMAGES, latent=2, width=4).eval()
    score, plain = score_of("ratio", model), score_of("likelihood", model)
    x = torch.stack([torch.zeros(1, 4, 4), (torch.rand(1, 4, 4) * 3).round() / 3])
    with torch.no_grad():
        gap = score.seen.every(x, plain.score) - score.seen.every(x, score.score)
    assert gap[0] < gap[1]  # the code of the plain one is shorter


@pytest.mark.parametrize(
    ("name", "model", "why"),
    [
        ("likelihood", linear_ae(PLANE, latent=1), "Autoencoder has no density"),
        ("surface", realnvp(PLANE, couplings=2, width=4), "its code loses nothing"),
        ("critic", realnvp(PLANE, couplings=2, width=4), "Flow has no discriminator"),
        ("ratio", realnvp(PLANE, couplings=2, width=4), "a PNG is of pictures"),
    ],
)
def test_a_score_says_why_it_is_not_for_a_model(name, model, why):
    with pytest.raises(UnfitError, match=why):
        score_of(name, model)
    assert name not in Detector(model).scores


def test_p_is_uniform_on_items_like_the_held_out_ones_and_small_on_others():
    model = LinearGaussian(PLANE, latent=1, isotropic=False)
    model.solve(normal(500))
    detector = Detector(model, ("neighbours", "likelihood", "forest"))
    detector.fit(normal(500), normal(400, seed=1))
    p = detector(normal(2000, seed=2)).p
    for level in (0.05, 0.2, 0.5):
        assert abs((p <= level).double().mean() - level) < 5 * math.sqrt(level * (1 - level) * (1 / 2000 + 1 / 400))
    far = detector(torch.tensor([[30.0, 9.0], [60.0, 9.0]], dtype=torch.float64))
    assert (far.p == 1 / 401).all()
    assert far.total[1] > far.total[0] > 1  # beyond all that is known the further one is still the odder one
    assert set(far.each) == {"neighbours", "likelihood", "forest"}


def test_a_linear_generator_is_searched_to_the_projection_of_least_squares():
    model = gan(PLANE, latent=1, generator=nn.Linear(1, 2), discriminator=nn.Linear(2, 1)).double().eval()
    x = normal(6, seed=5)
    score = score_of("reconstruction", model)
    assert not score.quick
    A, b = model.generator.weight.detach(), model.generator.bias.detach()
    A.copy_(torch.tensor([[2.0], [0.5]]))  # of a size at which the prior reaches the data
    h = view(PLANE, x) - b
    left = h - h @ A @ A.T / (A.T @ A)
    torch.testing.assert_close(score.score(x), left.square().mean(1), atol=2e-2, rtol=0.05)
    assert "surface" in Detector(model).left_out


def test_known_outliers_decide_which_score_counts_and_p_stays_a_p():
    """Odd is what lies in the middle: every distance says the contrary, and the examples overrule it."""
    model = linear_ae(PLANE, latent=1).eval()
    detector = Detector(model, ("neighbours", "crowd"))
    middle = torch.tensor([1.0, 0.0]) + 0.02 * torch.randn(30, 2, dtype=torch.float64)
    x, held_out = normal(500), normal(400, seed=1)
    detector.fit(x, held_out)
    before = detector(middle[15:]).total.mean()
    detector.fit(x, held_out, middle[:15])
    new = detector(normal(1000, seed=2))
    assert before < 0
    assert (detector(middle[15:]).total[:, None] > new.total).double().mean() > 0.95
    assert abs((new.p <= 0.1).double().mean() - 0.1) < 5 * math.sqrt(0.09 * (1 / 1000 + 1 / 400))


def test_a_rare_word_is_farther_than_a_common_one_and_one_never_seen_as_far_as_the_rarest():
    spec = Spec(
        "table", (2,), columns=(Column("a", ("u", "v", "w"), shares=(0.9, 0.0999, 0.0001)), Column("b", ("c",)))
    )
    h = view(spec, torch.tensor([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [-1.0, 0.0], [0.0, -1.0]]))
    common, rare, never, other = torch.cdist(h[:1], h[1:])[0].tolist()
    assert 1 < common < 0.5 * rare
    assert never > 0.9 * rare
    assert other > 10
    fixed = Spec("table", (2,), columns=(Column("a"), Column("b", mean=3.0, std=0.0)))
    h = view(fixed, torch.tensor([[0.0, 3.0], [0.0, 3.1], [0.0, 70.0]]))
    assert torch.cdist(h[:1], h)[0].tolist() == pytest.approx([0, 1 / 0.03, 1 / 0.03])
