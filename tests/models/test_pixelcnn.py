"""PixelCNN: a distribution, causal, without a blind spot, and sampled from what it scores."""

from __future__ import annotations

import itertools

import pytest
import torch

from lookalike.errors import UserError
from lookalike.models.tractable.autoregressive.pixelcnn import PixelCNN
from lookalike.spec import Spec


def images(*shape: int, levels: int = 2, classes: tuple[str, ...] = ()) -> Spec:
    return Spec("images", shape, levels, classes)


def shaken(spec: Spec, scale: float = 0.3, **options) -> PixelCNN:
    """A float64 model whose every weight counts."""
    model = PixelCNN(spec, **options).double()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, 0, scale)
    return model.eval()


MIXTURE = {"likelihood": "mixture", "components": 2}


def every_image(spec: Spec) -> torch.Tensor:
    values = [k / (spec.levels - 1) for k in range(spec.levels)]
    return torch.tensor(list(itertools.product(values, repeat=spec.dims)), dtype=torch.float64).view(-1, *spec.shape)


@pytest.mark.parametrize(
    ("spec", "options"),
    [
        (images(1, 3, 3), {}),
        (images(3, 2, 2), {}),
        (images(1, 2, 2, levels=5), {}),
        (images(1, 2, 3), {"likelihood": "categorical"}),
        (images(2, 2, 2, levels=3), MIXTURE),
    ],
    ids=str,
)
def test_probabilities_of_all_images_sum_to_one(spec, options):
    model = shaken(spec, width=6, layers=2, kernel=3, **options)
    assert abs(model.log_prob(every_image(spec)).exp().sum().item() - 1) < 1e-9


def test_probabilities_sum_to_one_for_each_class_and_differ_between_them():
    spec = images(1, 2, 3, classes=("cat", "dog"))
    model, x = shaken(spec, 0.6, width=4, layers=2, conditional=True), every_image(images(1, 2, 3))
    cat, dog = (model.log_prob(x, torch.full((len(x),), y)).exp() for y in (0, 1))
    assert abs(cat.sum().item() - 1) < 1e-9
    assert abs(dog.sum().item() - 1) < 1e-9
    assert (cat - dog).abs().max() > 1e-3


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("kernel", [3, 5])
def test_every_intensity_sees_the_whole_past_and_only_the_past(channels, kernel):
    """No leak, exactly, and no blind spot: by the gradient of every output."""
    H = W = 6
    model = shaken(images(channels, H, W, levels=3), width=9, layers=7, kernel=kernel)
    mix = torch.randn(3, 1, 1, 1, dtype=torch.float64)  # of the levels, since their sum might cancel

    def scores(x: torch.Tensor) -> torch.Tensor:
        return (
            (model.likelihood.logits(model.params(x))[0] * mix).sum(0).permute(1, 2, 0).flatten()
        )  # in the order they are drawn

    x = torch.rand(1, channels, H, W, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(scores, x)[:, 0].permute(0, 2, 3, 1).flatten(1)
    past = torch.ones_like(jacobian).tril(-1).bool()
    assert (jacobian[~past] == 0).all()
    assert (jacobian[past] != 0).all()


def test_samples_have_the_probabilities_the_model_gives():
    spec = images(1, 3, 3)
    model, n = shaken(spec, 0.6, width=4, layers=2, kernel=3), 20_000
    expected = n * model.log_prob(every_image(spec)).exp()
    index = (model.sample(n, seed=1).flatten(1) * 2 ** torch.arange(8, -1, -1)).sum(1).long()
    counts = torch.bincount(index, minlength=512)
    common = expected > 5
    chi_square, freedom = ((counts - expected) ** 2 / expected)[common].sum(), common.sum()
    assert freedom > 100
    assert chi_square < freedom + 4 * (2 * freedom) ** 0.5


def test_a_seed_repeats_a_sample_and_leaves_other_draws_alone():
    model = shaken(images(1, 4, 4), width=4, layers=2)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = model.sample(4, seed=7)
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(model.sample(4, seed=7), first)
    assert not torch.equal(model.sample(4, seed=8), first)


def test_an_item_does_not_depend_on_its_batch():
    model, x = shaken(images(1, 5, 5), width=4, layers=2), torch.rand(8, 1, 5, 5).round()
    torch.testing.assert_close(model.log_prob(x[:1]), model.log_prob(x)[:1], rtol=1e-12, atol=1e-12)


def test_labels_are_asked_for_by_name():
    spec = images(1, 4, 4, classes=("a", "b"))
    with pytest.raises(UserError, match="y, from 0 to 1"):
        PixelCNN(spec, conditional=True).sample(2)
    with pytest.raises(UserError, match="needs labels"):
        PixelCNN(images(1, 4, 4), conditional=True)


def test_it_learns_what_is_there():
    """Two images with equal chance: log 2 nats is all there is to tell, of 25 at the start."""
    model = PixelCNN(images(1, 6, 6), width=12, layers=3, kernel=3)
    two = (torch.rand(2, 1, 6, 6) > 0.5).float()
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    for step in range(80):
        for turn in model.turns(two.repeat(8, 1, 1, 1), step=step):
            optimiser.zero_grad()
            turn.loss.backward()
            optimiser.step()
    assert (model.log_prob(two) + torch.tensor(2.0).log()).abs().max() < 2
