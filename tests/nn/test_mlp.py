"""Perceptrons: layers as asked for, and residual blocks that begin as the identity."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lookalike.errors import UserError
from lookalike.nn.mlp import ResidualMLP, mlp
from lookalike.nn.own import checked


def test_a_perceptron_has_the_widths_asked_for_and_no_last_activation():
    net = mlp((12, 7, 5, 3))
    assert [(m.in_features, m.out_features) for m in net if isinstance(m, nn.Linear)] == [(12, 7), (7, 5), (5, 3)]
    assert isinstance(net[-1], nn.Linear)
    x = torch.randn(4, 3, 2, 2)
    torch.testing.assert_close(net(x), net(x.flatten(1)))
    assert net(x).shape == (4, 3)


def test_residual_blocks_begin_as_the_identity_at_any_depth():
    torch.manual_seed(0)
    shallow = ResidualMLP(4, 3, width=16, depth=0)
    deep = ResidualMLP(4, 3, width=16, depth=50)
    deep.enter, deep.leave = shallow.enter, shallow.leave
    x = torch.randn(5, 4, requires_grad=True)
    torch.testing.assert_close(deep(x), shallow(x))
    deep(x).sum().backward()
    assert x.grad.isfinite().all()
    assert all(block[-1].weight.grad.abs().sum() > 0 for block in deep.blocks)


def test_a_network_is_checked_by_shape_without_being_changed():
    net = nn.Sequential(nn.Flatten(), nn.Linear(6, 2), nn.BatchNorm1d(2)).double()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    assert checked(net, "encoder", (2, 3), (2,)) is net
    assert net.training
    assert all(value.equal(before[name]) for name, value in net.state_dict().items())
    with pytest.raises(UserError, match=r"the encoder gives shape \(B, 2\), but the model needs \(B, 4\)"):
        checked(net, "encoder", (2, 3), (4,))
    with pytest.raises(UserError, match=r"the encoder cannot take numbers of shape \(B, 5\)"):
        checked(net, "encoder", (5,), (2,))
