"""The plain PixelCNN: a distribution, causal, blind where it must be; `test_stepping` draws from it."""

from __future__ import annotations

import itertools

import pytest
import torch

from lookalike.models.tractable.autoregressive.maskedpixelcnn import MaskedPixelCNN
from lookalike.spec import Spec


def shaken(spec: Spec, **options) -> MaskedPixelCNN:
    """A float64 model whose every weight counts."""
    model = MaskedPixelCNN(spec, **options).double()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, 0, 0.3)
    return model.eval()


@pytest.mark.parametrize(
    ("shape", "levels", "options"),
    [((1, 3, 3), 2, {}), ((3, 2, 2), 2, {}), ((2, 2, 1), 5, {"likelihood": "mixture", "components": 2})],
)
def test_probabilities_of_all_images_sum_to_one(shape, levels, options):
    model = shaken(Spec("images", shape, levels), width=4, layers=2, **options)
    values = [k / (levels - 1) for k in range(levels)]
    x = torch.tensor(list(itertools.product(values, repeat=model.spec.dims)), dtype=torch.float64).view(-1, *shape)
    assert abs(model.log_prob(x).exp().sum().item() - 1) < 1e-9


@pytest.mark.parametrize("channels", [1, 3])
def test_nothing_leaks_and_only_the_blind_spot_is_not_seen(channels):
    H, W, layers = 7, 13, 2
    model = shaken(Spec("images", (channels, H, W), 2), width=12, layers=layers)

    def scores(x: torch.Tensor) -> torch.Tensor:
        return model.params(x)[0].permute(1, 2, 0).flatten()  # in the order they are drawn

    images = torch.rand(4, 1, channels, H, W, dtype=torch.float64)  # some, since a unit may be off for one of them
    jacobian = sum(torch.autograd.functional.jacobian(scores, x).abs() for x in images)
    jacobian = jacobian[:, 0].permute(0, 2, 3, 1).flatten(1)
    past = torch.ones_like(jacobian).tril(-1).bool()
    assert (jacobian[~past] == 0).all()
    seen = (jacobian != 0).view(H, W, channels, H, W, channels)
    for i, j in ((5, 0), (6, 6)):
        for above, right in itertools.product(range(1, i + 1), range(W - j)):
            # The first layer's kernel goes up 3 rows, and 3 columns where it goes up at all; each other one of each.
            climbs = [(up, 3 if up else 0, above - up) for up in range(min(3, above) + 1)]
            expected = any(rest <= layers and right <= side + rest for up, side, rest in climbs)
            assert seen[i, j, :, i - above, j + right].all() == expected
            assert seen[i, j, :, i - above, j + right].any() == expected
        assert seen[i, j, :, i, max(0, j - 3 - layers) : j].all()


def test_it_learns_what_is_there():
    """Two images with equal chance: log 2 nats is all there is to tell, of 25 at the start."""
    model = MaskedPixelCNN(Spec("images", (1, 6, 6), 2), width=12, layers=3)
    two = (torch.rand(2, 1, 6, 6) > 0.5).float()
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    for step in range(100):
        for turn in model.turns(two.repeat(8, 1, 1, 1), step=step):
            optimiser.zero_grad()
            turn.loss.backward()
            optimiser.step()
    assert (model.log_prob(two) + torch.tensor(2.0).log()).abs().max() < 2
