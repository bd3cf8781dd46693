"""Weight normalisation: the length of a direction does not matter, and the first batch comes out standardised."""

from __future__ import annotations

import torch
from torch import nn

from lookalike.nn.firstbatch import initialising
from lookalike.nn.weightnorm import WeightNormConv2d


def test_the_first_batch_comes_out_standardised_through_the_whole_depth():
    network = nn.Sequential(
        WeightNormConv2d(3, 8, (3, 3)), nn.SiLU(), WeightNormConv2d(8, 6, (2, 3), (1, 1, 1, 0), scale=0.1)
    ).double()
    x = 7 + 3 * torch.randn(50, 3, 9, 9, dtype=torch.float64)
    with initialising(network), torch.no_grad():
        network(x)
    for conv, h, scale in ((network[0], x, 1.0), (network[2], network[:2](x), 0.1)):
        out = conv(h)
        torch.testing.assert_close(
            out.mean((0, 2, 3)), torch.zeros(len(conv.bias), dtype=torch.float64), atol=1e-6, rtol=0
        )
        torch.testing.assert_close(
            out.std((0, 2, 3)), torch.full((len(conv.bias),), scale, dtype=torch.float64), rtol=1e-2, atol=0
        )


def test_the_first_batch_counts_once_and_what_it_set_is_saved():
    conv, x = WeightNormConv2d(2, 4, (3, 3)), torch.randn(20, 2, 6, 6)
    untouched = conv(x)
    assert not conv.initialised
    with initialising(conv):
        conv(x)
    assert conv.initialised
    first = conv(x)
    assert (first - untouched).abs().max() > 0.1
    again = WeightNormConv2d(2, 4, (3, 3))
    again.load_state_dict(conv.state_dict())
    with initialising(again):
        again(5 + x)
    assert torch.equal(again(x), first)


def test_the_length_of_a_direction_has_no_say():
    conv, x = WeightNormConv2d(2, 3, (2, 2)), torch.randn(1, 2, 5, 5)
    before = conv(x)
    with torch.no_grad():
        conv.direction.mul_(17.0)
    torch.testing.assert_close(conv(x), before)
    torch.testing.assert_close(conv.kernel().flatten(1).norm(dim=1), conv.gain)


def test_an_output_that_does_not_vary_keeps_its_gain():
    conv = WeightNormConv2d(1, 2, (1, 1))
    with initialising(conv):
        out = conv(torch.ones(4, 1, 3, 3))
    assert (conv.gain == 1).all()
    assert conv(torch.ones(4, 1, 3, 3)).abs().max() < 1e-6
    assert out.isfinite().all()
