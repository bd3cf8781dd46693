"""The ladder VAE: its probabilities sum to one, its rungs hang on those above only, its KL is what draws say."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from lookalike.errors import UserError
from lookalike.models.approximate.vae import bound
from lookalike.models.approximate.vae.bound import drawn, repeated
from lookalike.models.approximate.vae.builders import ladder_vae
from lookalike.models.approximate.vae.ladder import LadderVAE
from lookalike.spec import Column, Spec

TINY = Spec("images", (1, 3, 3), 2, ("a", "b"))
ODD = Spec("images", (3, 9, 13), 4)
ROWS = Spec("points", (2,), columns=(Column("a", mean=3, std=2), Column("b")))


def awake(spec: Spec, noise: float = 0.3, **options: object) -> LadderVAE:
    """A ladder in float64 whose rungs have something to say: at the start none has."""
    torch.manual_seed(0)
    model = ladder_vae(spec, latent=2, rungs=(2, 1), width=8, **options).double().eval()  # type: ignore[arg-type]
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(noise * torch.randn_like(parameter))
    return model


@pytest.mark.parametrize("conditional", [False, True])
@torch.no_grad()
def test_the_probabilities_of_all_tiny_images_sum_to_one(conditional: bool) -> None:
    """The mean importance weight is p(x) without bias, so their sum is 1 but for its standard error."""
    model = awake(TINY, noise=0.1, conditional=conditional)
    x = torch.tensor(list(itertools.product([0.0, 1.0], repeat=9)), dtype=torch.float64).view(-1, 1, 3, 3)
    sums = model.log_weights(x, torch.ones(512).long(), samples=60).exp().sum(1)
    standard_error = sums.std() / len(sums) ** 0.5
    assert abs(sums.mean() - 1) < 4 * standard_error < 0.04


@pytest.mark.parametrize("spec", [TINY, ODD, ROWS], ids=["tiny", "odd", "rows"])
@torch.no_grad()
def test_the_rate_is_what_draws_of_the_code_say(spec: Spec) -> None:
    model, n = awake(spec), 4000
    x = repeated(model.sample(1, seed=0).double(), n)
    at = model.infer(model.read(x, None), None, drawn(model.noise(n)))
    draws = at.log_q - at.log_p - at.kl.sum(1)  # 0 on average: the closed form, given the rungs above
    assert draws.mean().abs() < 4 * draws.std() / n**0.5
    assert at.kl.sum(1).mean() > 0.1
    torch.testing.assert_close(model.parts(at.kl).sum(1), at.kl.sum(1))
    rates = model.rates(at.kl)
    torch.testing.assert_close(sum(rate for name, rate in rates.items() if name != "rate"), rates["rate"])


def test_a_rung_hangs_on_those_above_it_and_on_no_other() -> None:
    model, x = awake(ODD), torch.rand(1, 3, 9, 13).double()
    z = model.noise(1).requires_grad_()
    at = model.infer(model.read(x, None), None, lambda _mean, _log_var, group: z[:, group])
    for i, group in enumerate(model.groups):
        (gradient,) = (
            torch.autograd.grad(
                at.mean[:, group].sum() + at.log_var[:, group].sum(), z, retain_graph=True, allow_unused=True
            )
            if i
            else (torch.zeros_like(z),)
        )
        assert (gradient[:, group.start :] == 0).all()
        assert all((gradient[:, above] != 0).any() for above in model.groups[:i])
    torch.testing.assert_close(at.params, model.params(z, None))


@torch.no_grad()
def test_bounds_rise_with_samples_and_chunks_do_not_move_them(monkeypatch: pytest.MonkeyPatch) -> None:
    model = awake(ROWS)
    x = model.sample(50, seed=1)
    bounds = [torch.stack([model.log_prob(x, samples=k).mean() for _ in range(30)]).mean() for k in (1, 8, 64)]
    assert bounds[0] < bounds[1] < bounds[2]
    torch.manual_seed(1)
    whole = model.log_weights(x, samples=11)
    monkeypatch.setattr(bound, "numbers_at_once", lambda device: 3 * len(x) * model.activations)
    torch.manual_seed(1)
    torch.testing.assert_close(model.log_weights(x, samples=11), whole)


@torch.no_grad()
def test_a_code_is_the_means_of_its_rungs_and_a_prior_draw_is_standard_normal() -> None:
    model, x = awake(TINY), torch.ones(2, 1, 3, 3)
    code = model.encode(x)
    again = model.infer(model.read(x, None), None, lambda _mean, _log_var, group: code[:, group])
    torch.testing.assert_close(again.mean, code)
    assert model.latent == 2 * 4 * 2  # numbers of a rung, places, rungs
    prior = model.prior(4000, seed=0)
    torch.testing.assert_close(prior.T.cov(), torch.eye(model.latent, dtype=prior.dtype), atol=0.12, rtol=0)


def test_it_learns_what_a_factorised_model_cannot() -> None:
    """Images of rows of one colour each: 8 bits, 5.5 nats, where 64 free pixels take 44."""
    torch.manual_seed(0)
    x = torch.randint(2, (32, 1, 8, 1)).float().expand(-1, -1, 8, 8)
    model = ladder_vae(Spec("images", (1, 8, 8), 2), latent=2, rungs=(2,), width=16)
    assert next(model.turns(x)).logs["rate"] == 0  # it starts at the prior
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    for step in range(120):
        optimiser.zero_grad()
        next(model.turns(x, step=step)).loss.backward()
        optimiser.step()
    with torch.no_grad():
        assert model.log_prob(x, samples=20).mean() > -20


def test_a_ladder_without_rungs_is_refused() -> None:
    with pytest.raises(UserError, match="must not all be 0"):
        ladder_vae(TINY, rungs=(0, 3))
    with pytest.raises(UserError, match="needs labels"):
        ladder_vae(ODD, conditional=True)
    assert math.isfinite(ladder_vae(ROWS, rungs=(0, 1)).log_prob(torch.zeros(1, 2)).item())
