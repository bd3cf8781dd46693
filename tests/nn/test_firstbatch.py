import torch
from torch import nn

from lookalike.nn.firstbatch import Centred, initialising, set_by_first_batch


def test_the_first_batch_and_no_later_one_says_what_is_taken_away():
    torch.manual_seed(0)
    network = nn.Sequential(Centred((2, 3)), nn.Flatten(), nn.Linear(6, 4))
    first, second = torch.rand(8, 2, 3), torch.rand(8, 2, 3)
    assert torch.equal(network[0](first), first)  # as it is, until it is told
    with initialising(network):
        network(first)
        network(second)
    torch.testing.assert_close(network[0](first).mean(0), torch.zeros(2, 3))
    torch.testing.assert_close(network[0](second), second - first.mean(0))


def test_what_was_taken_from_the_first_batch_is_saved():
    layer, again = Centred((3,)), Centred((3,))
    with initialising(layer):
        layer(torch.ones(4, 3))
    again.load_state_dict(layer.state_dict())
    with initialising(again):
        again(torch.zeros(4, 3))
    assert torch.equal(again.mean, torch.ones(3))


def test_layers_are_found_wherever_they_are():
    assert set_by_first_batch(nn.Linear(2, 2)) == []
    network = nn.Sequential(nn.Sequential(Centred((2,))), nn.Linear(2, 2))
    assert set_by_first_batch(network) == [network[0][0]]
