"""Convolutional networks fit images of any size and channels, and see all of them."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lookalike.nn.conv import ConvDecoder, ConvEncoder, pyramid


@given(st.integers(1, 200), st.integers(1, 200))
def test_a_pyramid_halves_rounding_up_until_four(height, width):
    sizes = pyramid(height, width)
    assert sizes[0] == (height, width)
    assert max(sizes[-1]) <= 4
    for (h, w), (half_h, half_w) in pairwise(sizes):
        assert (half_h, half_w) == (-(-h // 2), -(-w // 2))
        assert max(h, w) > 4


@pytest.mark.parametrize("block", ["plain", "residual"])
@given(st.integers(1, 4), st.integers(2, 70), st.integers(2, 70))
@settings(max_examples=12, deadline=None)
def test_any_size_and_channels(block, C, H, W):
    x = torch.rand(2, C, H, W, requires_grad=True)
    z = ConvEncoder((C, H, W), 3, width=2, block=block)(x)
    assert z.shape == (2, 3)
    x_hat = ConvDecoder(3, (C, H, W), width=2, block=block)(z)
    assert x_hat.shape == x.shape
    # No pixel is left out at an odd edge: the code depends on the last row and column.
    (gradient,) = torch.autograd.grad(z.sum(), x)
    assert gradient[:, :, -1].abs().sum() > 0
    assert gradient[..., -1].abs().sum() > 0


@pytest.mark.parametrize("side", [8, 127, 128])
@pytest.mark.parametrize("block", ["plain", "residual"])
def test_the_largest_sizes(side, block):
    shape = (3, side, side - 1)
    z = ConvEncoder(shape, 5, width=2, block=block)(torch.rand(1, *shape))
    assert ConvDecoder(5, shape, width=2, block=block)(z).shape == (1, *shape)


@pytest.mark.parametrize("norm", ["none", "group"])
@pytest.mark.parametrize("block", ["plain", "residual"])
def test_an_item_does_not_depend_on_its_companions(block, norm):
    x = torch.rand(4, 1, 12, 12)
    encoder = ConvEncoder((1, 12, 12), 3, width=8, block=block, norm=norm)
    decoder = ConvDecoder(3, (1, 12, 12), width=8, block=block, norm=norm)
    torch.testing.assert_close(encoder(x)[:1], encoder(x[:1]))
    torch.testing.assert_close(decoder(encoder(x))[:1], decoder(encoder(x[:1])), atol=1e-5, rtol=1e-4)
