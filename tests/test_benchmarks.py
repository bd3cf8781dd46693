"""The sides of a benchmark do the same mathematics: the same weights, items and noise give the same loss."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from benchmarks import measures, references, textbook
from benchmarks.compare import summary
from benchmarks.networks import LATENT, NETWORKS
from benchmarks.rows import ROWS, as_data
from benchmarks.sampling import line

from lookalike.recipe import find
from lookalike.spec import Column, Spec

BINARY = Spec("images", (1, 28, 28), levels=2)
BYTES = Spec("images", (1, 28, 28), levels=256)
POINTS = Spec("points", (2,), columns=(Column("x"), Column("y", mean=1.0, std=2.0)))
SPECS = {"mlp-vae": BINARY, "vae": BINARY, "pixelcnn": BINARY, "made": POINTS, "realnvp": POINTS}


def items_of(spec: Spec, n: int) -> torch.Tensor:
    return torch.randint(spec.levels, (n, 1, 28, 28), dtype=torch.uint8) if spec.levels else torch.randn(n, 2).double()


@pytest.mark.parametrize("name", ROWS)
def test_textbook_and_ours_move_by_the_same_losses(name):
    spec = SPECS.get(name, BYTES)
    ours = find(ROWS[name].recipe).resolved(spec.kind, ROWS[name].options).model(spec).train()
    theirs = copy.deepcopy(ours)
    items = items_of(spec, 8)
    (x,) = torch.utils.data.default_collate([textbook.dataset(items.clone(), spec, ready=False)[i] for i in range(8)])
    optimisers = {part: torch.optim.SGD(module.parameters(), 1e-3) for part, module in theirs.players().items()}
    torch.manual_seed(1)
    told = textbook.step_of(theirs)(theirs, optimisers, x)

    torch.manual_seed(1)
    unit = 1.0 if type(ours).__name__ == "Autoencoder" else spec.dims * math.log(2)  # ours are bits a dimension
    moves = {part: torch.optim.SGD(module.parameters(), 1e-3) for part, module in ours.players().items()}
    batch, _ = as_data(spec, items).train.batch(torch.arange(8))
    found = {}  # of a player that moves several times, its last move
    for turn in ours.turns(batch, step=1):
        loss = turn.loss if len(told) > 1 else turn.loss * unit
        found[turn.player] = loss.item()
        moves[turn.player].zero_grad()
        loss.backward(inputs=list(ours.players()[turn.player].parameters()))
        moves[turn.player].step()
    assert found == pytest.approx(told, rel=1e-4)
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, other, atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize("ready", [False, True])
def test_textbook_sees_the_pictures_that_we_see(ready):
    items = items_of(BYTES, 3)
    (x,) = textbook.dataset(items.clone(), BYTES, ready=ready)[1]
    torch.testing.assert_close(x, as_data(BYTES, items).train.batch(torch.tensor([1]))[0][0])


@pytest.mark.parametrize("name", NETWORKS)
def test_pythae_is_given_our_networks(name):
    model = find(name).resolved("images", {}).model(BINARY)
    encoder, decoder = NETWORKS[name]()
    assert model.latent == LATENT[name]
    for ours, theirs in ((model.encoder, encoder), (model.decoder, decoder)):
        assert [p.shape for p in ours.parameters()] == [p.shape for p in theirs.parameters()]


def test_a_ratio_is_of_neighbours_in_time():
    """A machine that slows down by half between rounds leaves the ratio as it is."""
    ours = [{"seconds": s, "processor": s, "peak_mb": 1.0} for s in (1.0, 2.0, 4.0)]
    theirs = [{"seconds": 3 * s, "processor": 3 * s, "peak_mb": 1.0} for s in (1.0, 2.0, 4.0)]
    ratio = summary(theirs, ours)["seconds_ratio"]
    assert np.allclose([ratio["median"], ratio["low"], ratio["high"]], 3.0)


def test_sampling_meets_its_bar_by_both_ratios_of_neighbours_in_time():
    found = {"pass": [1.0, 2.0, 3.0], "cached": [1.4, 2.8, 4.2], "naive": [784.0, 1568.0, 2352.0]}
    assert "| 560 | 1.40 | 400, 1.5: met |" in line("pixelcnn", 64, found)
    assert "MISSED" in line("pixelcnn", 64, {**found, "cached": [1.6, 3.2, 4.8]})
    assert "MISSED" in line("pixelcnn", 16, {**found, "naive": [300.0, 600.0, 900.0]})
    assert line("row-lstm", 16, found).endswith("|  |")


def test_measures_and_their_references_find_the_same(tmp_path):
    measures.lay_out(tmp_path, 300, 40)
    for row, theirs in (("neighbours", "prdc"), ("frechet", "torchmetrics"), ("kernel", "torchmetrics")):
        ours, reference = (references.SIDES[row][side](tmp_path)() for side in ("lookalike", theirs))
        assert measures.largest_difference(ours, reference) < 1e-4, row


def test_measures_meet_their_bars_by_ratio_agreement_and_memory():
    def answers(side: float, value: float, peak: float = 500.0) -> list[dict]:
        return [{"values": {"v": value}, "processor": side * drift, "peak_mb": peak} for drift in (1.0, 2.0, 4.0)]

    ours, theirs = measures.lines("neighbours", {"lookalike": answers(1, 1.0), "prdc": answers(4.5, 1.00005)})
    assert "700 MB: met" in ours
    assert "| 4.50 | 5.0e-05 |" in theirs
    assert "4 times: met" in theirs
    ours, theirs = measures.lines("frechet", {"lookalike": answers(1, 1.0, 701), "pytorch-fid": answers(3.9, 1.001)})
    assert "MISSED" in ours
    assert theirs.count("MISSED") == 2
