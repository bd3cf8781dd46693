"""Multi-scale PixelRNN: a distribution over the whole image, drawn by steps as it is scored."""

from __future__ import annotations

import itertools

import pytest
import torch

from lookalike.models.tractable.autoregressive.multiscale import MultiScale
from lookalike.models.tractable.autoregressive.raster import naive
from lookalike.spec import Spec


def shaken(spec: Spec, **options) -> MultiScale:
    """A float64 model whose every weight counts."""
    model = MultiScale(spec, width=4, layers=2, **options).double()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, 0, 0.5)
    return model.eval()


@pytest.mark.parametrize("layer", ["row", "diagonal"])
@pytest.mark.parametrize(
    ("spec", "scale", "likelihood"),
    [
        (Spec("images", (1, 3, 3), 2), 2, "auto"),
        (Spec("images", (1, 2, 4), 2), 3, "auto"),
        (Spec("images", (3, 2, 2), 2), 2, "auto"),
        (Spec("images", (2, 2, 2), 3), 2, "mixture"),
    ],
    ids=str,
)
def test_probabilities_of_all_images_sum_to_one(spec, scale, likelihood, layer):
    model = shaken(spec, scale=scale, layer=layer, likelihood=likelihood)
    values = [k / (spec.levels - 1) for k in range(spec.levels)]
    x = torch.tensor(list(itertools.product(values, repeat=spec.dims)), dtype=torch.float64).view(-1, *spec.shape)
    probs = model.log_prob(x).exp()
    assert abs(probs.sum().item() - 1) < 1e-9
    assert probs.std() > 0.1 * probs.mean()


def test_the_rest_is_drawn_knowing_the_small_image_below_it_too():
    model = shaken(Spec("images", (1, 4, 4), 2))
    x = torch.rand(1, 1, 4, 4, dtype=torch.float64).round()
    small = model.door.enter(x[:, :, ::2, ::2]).requires_grad_()
    model.large.params(x, small)[0, 0, 0, 1].backward()
    assert (small.grad != 0).all()


@pytest.mark.parametrize("layer", ["row", "diagonal"])
def test_samples_have_the_probabilities_the_model_gives(layer):
    spec = Spec("images", (1, 3, 3), 2)
    model, n = shaken(spec, layer=layer), 20_000
    x = torch.tensor(list(itertools.product([0.0, 1.0], repeat=9)), dtype=torch.float64).view(-1, 1, 3, 3)
    expected = n * model.log_prob(x).exp()
    index = (model.sample(n, seed=1).flatten(1) * 2 ** torch.arange(8, -1, -1)).sum(1).long()
    counts = torch.bincount(index, minlength=512)
    common = expected > 5
    chi_square, freedom = ((counts - expected) ** 2 / expected)[common].sum(), common.sum()
    assert freedom > 30
    assert chi_square < freedom + 4 * (2 * freedom) ** 0.5


@pytest.mark.parametrize("layer", ["row", "diagonal"])
def test_a_pixel_at_a_time_is_all_at_once_and_what_is_known_stays(layer):
    spec = Spec("images", (3, 5, 6), 4)
    model = shaken(spec, layer=layer)
    x = (torch.rand(3, *spec.shape, dtype=torch.float64) * 3).round() / 3
    mask = torch.rand(3, 1, 5, 6) > 0.5
    drawn = model.complete(x, mask, seed=4)
    assert (torch.where(mask, drawn, x) == x).all()
    small = drawn[:, :, ::2, ::2]
    u, known = torch.rand(x.shape, dtype=torch.float64), mask.expand_as(x).clone()
    known[:, :, ::2, ::2] = True
    y = model.door.enter(small)
    with torch.inference_mode():
        one_by_one = model.large.drawn(drawn, known, u, model.large.network.stepper(3, y))
        assert torch.equal(one_by_one, model.large.drawn(drawn, known, u, naive(model.large.network, y)))
