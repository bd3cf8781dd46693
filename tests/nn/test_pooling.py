"""Unpooling undoes pooling where the largest was, and without that spreads what there is."""

from __future__ import annotations

import pytest
import torch

from lookalike.models.autoencoder.builders import what_where
from lookalike.nn.pooling import pool, unpool
from lookalike.spec import Spec


@pytest.mark.parametrize("size", [(8, 8), (7, 5), (1, 4)])
def test_each_value_goes_back_to_where_it_was(size):
    h = torch.rand(2, 3, *size)
    what, where = pool(h)
    back = unpool(what, where, size)
    assert back.shape == h.shape
    assert torch.equal(back[back != 0], h[back != 0])
    assert torch.equal(pool(back)[0], what)
    assert (back != 0).sum() == what.numel()
    torch.testing.assert_close(back, torch.nn.functional.max_unpool2d(what, where, 2, output_size=size))


def test_without_where_the_sum_stays_on_even_sides():
    what = torch.rand(2, 3, 4, 4)
    spread = unpool(what, None, (8, 8))
    torch.testing.assert_close(spread.sum((2, 3)), what.sum((2, 3)))


def test_where_tells_two_images_of_one_code_apart():
    """Shifted by one pixel within a pooling window the code of a dot is the same: only where differs."""
    model = what_where(Spec("images", (1, 8, 8), levels=256), latent=4, width=4).eval()
    torch.nn.init.zeros_(model.encoder.convs[0].weight)
    model.encoder.convs[0].weight.data[:, :, 1, 1] = 1.0  # sees the pixel itself
    x = torch.zeros(2, 1, 8, 8)
    x[0, 0, 2, 2] = x[1, 0, 3, 3] = 1.0
    z = model.encode(x)
    torch.testing.assert_close(z[0], z[1])
    torch.testing.assert_close(model.decode(z)[0], model.decode(z)[1])
    assert not torch.allclose(model.reconstruct(x)[0], model.reconstruct(x)[1])
