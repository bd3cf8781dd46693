"""Denoising autoencoders: the noise they are trained against, layers one by one, and what a restorer adds."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import lookalike
from lookalike.errors import UserError
from lookalike.models.autoencoder.builders import denoising_ae, restorer
from lookalike.spec import Column, Spec

GREY = Spec("images", (1, 9, 8), levels=256)
ROWS = Spec("table", (2,), columns=(Column("a", mean=3, std=2), Column("b", ("x", "y", "z"))))


def moved(model, step: int, x: torch.Tensor) -> set[str]:
    """Names of the layers that a turn's loss reaches."""
    model.zero_grad()
    next(model.turns(x, step=step)).loss.backward()
    return {".".join(n.split(".")[:2]) for n, p in model.named_parameters() if p.grad is not None and p.grad.any()}


def test_each_layer_is_trained_by_itself_then_all_at_once():
    model = denoising_ae(GREY, latent=3, hidden=(6, 5), pretrain=10)
    x = torch.rand(4, 1, 9, 8)
    for step, k in ((0, 0), (9, 0), (10, 1), (29, 2)):
        assert moved(model, step, x) == {f"encoder.{k}", f"decoder.{2 - k}"}
    assert len(moved(model, 30, x)) == 6
    assert len(moved(denoising_ae(GREY, latent=3, hidden=(6, 5)), 0, x)) == 6


def test_a_layer_gives_back_what_the_layers_below_make_of_clean_items():
    """The loss of layer k is the squared error of a_k, and nothing is masked where the layer sees all of it."""
    model = denoising_ae(GREY, latent=3, hidden=(6, 5), pretrain=1, amount=0.0)
    h = model.door.enter(torch.rand(4, 1, 9, 8))
    a = model.encoder[0](h)
    masks: list[torch.Tensor] = []
    model.encoder[1].register_forward_pre_hook(lambda _, given: masks.append(given[0]))
    loss = model.of_layer(h, 1)
    share = (masks[0] == 0).float().mean()
    assert 0.1 < share < 0.6
    assert torch.equal(masks[0][masks[0] != 0], a[masks[0] != 0])
    found = model.decoder[1](nn.Sequential(*list(model.encoder)[1:2])(masks[0]))
    torch.testing.assert_close(loss, (found - a).square().mean(1))


def test_the_linear_denoiser_of_gaussian_rows_is_the_shrinkage_of_least_squares():
    """Of x ~ N(0, S) with noise of variance t the best linear guess is S (S + t)^-1 x."""
    scales, t = torch.tensor([2.0, 1.0, 0.5]), 0.5
    spec = Spec("points", (3,), columns=tuple(Column(str(i)) for i in range(3)))
    model = denoising_ae(
        spec,
        latent=3,
        hidden=(3,),
        corruption=("gaussian",),
        amount=t**0.5,
        encoder=nn.Linear(3, 3),
        decoder=nn.Linear(3, 3),
    )
    optimiser = torch.optim.Adam(model.parameters(), 0.02)
    for step in range(1500):
        x = torch.randn(512, 3) * scales
        optimiser.param_groups[0]["lr"] = 0.02 * (1 - step / 1500)
        optimiser.zero_grad()
        next(model.turns(x)).loss.backward()
        optimiser.step()
    W = (model.undo(torch.eye(3)) - model.undo(torch.zeros(3, 3))).T
    torch.testing.assert_close(W, torch.diag(scales**2 / (scales**2 + t)), atol=0.05, rtol=0)


def test_what_is_not_known_of_rows_does_not_matter():
    model = denoising_ae(ROWS, latent=3, hidden=(8,)).eval()
    known = torch.tensor([[False, True], [True, False]])
    x = torch.tensor([[5.0, 1.0], [2.0, 2.0]], dtype=torch.float64)
    other = torch.tensor([[-9.0, 1.0], [2.0, 0.0]], dtype=torch.float64)
    assert torch.equal(model.repair(x, known), model.repair(other, known))
    assert not torch.equal(model.repair(x), model.repair(other))


def test_a_restorer_begins_with_what_it_is_given_and_with_gaps_filled():
    model = restorer(GREY, width=4, corruption=("masking", "gaussian"))
    x = model.door.on_levels(torch.rand(3, 1, 9, 8))
    torch.testing.assert_close(model.repair(x), x)
    known = torch.rand(3, 1, 9, 8) > 0.3
    repaired = model.repair(x, known)
    torch.testing.assert_close(repaired[known], x[known])
    assert not (repaired[~known] == 0.5).any()
    assert torch.equal(repaired, model.repair(torch.where(known, x, 0.9), known))


def test_what_the_door_cuts_is_no_error():
    class Beyond(nn.Module):
        def forward(self, h: torch.Tensor) -> torch.Tensor:
            return torch.full_like(h[:, :1], -3.0)

    black, grey = torch.zeros(2, 1, 9, 8), torch.full((2, 1, 9, 8), 0.4)
    model = restorer(GREY, network=Beyond(), corruption=("gaussian",), amount=0.0)
    assert next(model.turns(black)).loss == 0
    assert next(model.turns(grey)).loss == pytest.approx(9.0)


def test_layers_are_needed_to_train_layers():
    with pytest.raises(UserError, match="pretrain trains the layers one by one"):
        denoising_ae(GREY, latent=3, pretrain=5, encoder=nn.Flatten())


def test_a_training_too_short_for_the_whole_says_so(tmp_path, capfd):
    lookalike.train("stacked-ae", "moons", out=tmp_path / "run", steps=4, pretrain=2, device="cpu")
    assert "6 steps go to its layers, so the whole is untrained" in capfd.readouterr().err
