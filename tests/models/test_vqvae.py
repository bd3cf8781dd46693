"""VQ-VAE: the bound against the sum over all codes, the straight-through gradient, the codebook, codes as data."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import lookalike
from lookalike.data import open_data
from lookalike.errors import UserError
from lookalike.models.approximate.vae.vqvae import DEAD, VQVAE, vqvae
from lookalike.models.tractable.autoregressive.pixelcnn import PixelCNN
from lookalike.recipe import find, recipes
from lookalike.spec import Spec

SMALL = {"halvings": 1, "code_width": 3, "width": 8, "depth": 1}
GREY = Spec("images", (1, 8, 8), levels=4, classes=("a", "b"))


def played(model: VQVAE, x: Tensor, steps: int = 1) -> VQVAE:
    """The model after so many steps' worth of its codebook."""
    model.train()
    for step in range(steps):
        list(model.turns(x, None, step))
    return model.eval()


def images(n: int = 16) -> Tensor:
    return torch.randint(4, (n, 1, 8, 8)) / 3


@pytest.mark.parametrize("with_prior", [False, True])
def test_the_bound_is_below_the_sum_over_all_codes(with_prior):
    """Two codes at each of 2 x 2 places: log p(x) is a sum of 16 terms."""
    spec = Spec("images", (1, 4, 4), levels=2)
    x = torch.randint(2, (20, 1, 4, 4)).double()
    model = vqvae(spec, codes=2, code_width=3, width=8, depth=1).double()
    model.place = (3, 2, 2)
    model.latent = 12
    model.encoder = torch.nn.Conv2d(1, 3, 2, stride=2).double()
    model.decoder = torch.nn.ConvTranspose2d(3, 1, 2, stride=2).double()
    played(model, x, 3)
    log_uniform = -4 * math.log(2)
    every = torch.tensor(list(itertools.product([0, 1], repeat=4))).view(16, 1, 2, 2)
    log_prior = torch.full((16,), log_uniform, dtype=torch.float64)
    if with_prior:
        prior = PixelCNN(model.code_spec, width=8, layers=2, kernel=3).double().eval()
        model.attach(prior)
        log_prior = prior.log_prob(every.double())
        torch.testing.assert_close(log_prior.logsumexp(0), torch.zeros((), dtype=torch.float64))
    given = [model.likelihood.log_prob(x, model.params(k.expand(20, -1, -1, -1))) for k in every]
    exact = (torch.stack(given) + log_prior[:, None]).logsumexp(0)
    bound = model.log_prob(x)
    assert (bound < exact).all()
    chosen = (model.codes(x).flatten(1) * torch.tensor([8, 4, 2, 1])).sum(1)
    torch.testing.assert_close(bound, torch.stack(given)[chosen, torch.arange(20)] + log_prior[chosen])
    rate, distortion = model.rate_distortion(x)
    torch.testing.assert_close(-(rate + distortion), bound)


def test_the_gradient_passes_straight_through_to_the_encoder():
    """Without commitment the encoder's gradient is that of the decoder's input, as if nothing were in between."""
    model = vqvae(GREY, codes=4, commitment=0.0, **SMALL)
    x = images()
    played(model, x).train()
    seen: dict[str, Tensor] = {}
    model.encoder.register_forward_hook(lambda *io: (io[2].retain_grad(), seen.update(h=io[2]))[1])
    model.decoder.register_forward_pre_hook(lambda _, given: (given[0].retain_grad(), seen.update(q=given[0]))[1])
    next(model.turns(x)).loss.backward()
    assert seen["q"].grad.abs().sum() > 0
    assert torch.equal(seen["h"].grad, seen["q"].grad)
    nearest = torch.cdist(seen["h"].detach().movedim(1, -1).flatten(0, -2), model.codebook)
    assert nearest.shape[1] == 4


def test_every_place_takes_its_nearest_code_and_decodes_to_what_it_was():
    model, x = vqvae(GREY, codes=5, **SMALL), images()
    played(model, x, 2)
    h = model.encoder(model.door.enter(x)).movedim(1, -1)
    k = model.codes(x)
    assert k.shape == (16, *model.code_spec.shape) == (16, 1, 4, 4)
    assert torch.equal(torch.cdist(h.flatten(0, 2), model.codebook).argmin(1), k.flatten())
    z = model.encode(x)
    assert torch.equal(model.nearest(z.unflatten(1, model.place)), k)
    torch.testing.assert_close(model.reconstruct(x), model.likelihood.mean(model.params(k)))


def test_codes_are_the_means_of_their_places_and_none_stays_dead():
    model, x = vqvae(GREY, codes=6, **SMALL).double(), images(32).double()
    played(model, x)
    h, k = model.encoder(model.door.enter(x)).detach(), model.codes(x)
    for _ in range(800):
        model._learn(h, k)  # the encoder and what is nearest stand still: the running means settle
    rows = h.movedim(1, -1).flatten(0, 2)
    for level in k.unique():
        torch.testing.assert_close(model.codebook[level], rows[k.flatten() == level].mean(0), atol=1e-5, rtol=0)
    with torch.no_grad():
        model.codebook[0] = 1e3
        model.usage[0] = 0.5 * DEAD / model.levels
    played(model, x)
    assert model.codebook.abs().max() < 100


def test_a_prior_of_other_codes_is_refused_and_one_of_labels_makes_it_conditional():
    model = vqvae(GREY, codes=5, **SMALL).eval()
    other = PixelCNN(Spec("images", (1, 4, 4), levels=7), width=4, layers=1)
    with pytest.raises(UserError, match="train it on the codes of this run"):
        model.attach(other)
    assert not model.conditional
    model.attach(PixelCNN(model.code_spec, width=4, layers=1, conditional=True).eval())
    assert model.conditional
    y = torch.tensor([0, 1, 1])
    assert model.sample(3, y, seed=0).shape == (3, 1, 8, 8)
    assert model.log_prob(images(3), y).shape == (3,)
    assert model.sample_codes(3, y, seed=0).max() < 5


def test_small_images_keep_four_places_a_side():
    for side, expected in ((4, 4), (8, 4), (13, 4), (28, 7), (32, 8)):
        model = vqvae(Spec("images", (1, side, side), levels=2), width=8)
        assert model.place[1:] == (expected, expected)


def test_an_npz_may_say_its_levels_and_splits(tmp_path):
    x = np.random.default_rng(0).integers(0, 3, (30, 4, 5)).astype(np.uint8)
    split = np.arange(30) % 3
    np.savez(tmp_path / "codes.npz", x=x, levels=40, split=split)
    data = open_data(tmp_path / "codes.npz")
    assert (data.spec.shape, data.spec.levels) == ((1, 4, 5), 40)
    for i, part in enumerate(data.splits.values()):
        assert torch.equal((part.first(99)[0] * 39).round().long()[:, 0], torch.from_numpy(x[split == i]).long())
    for wrong in ({"levels": 2, "split": split}, {"levels": 300, "split": split}, {"levels": 40, "split": split % 2}):
        np.savez(tmp_path / "codes.npz", x=x, **wrong)
        with pytest.raises(UserError, match="levels"):
            open_data(tmp_path / "codes.npz")


@pytest.mark.slow
def test_one_command_trains_the_prior_too_and_load_joins_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    out = tmp_path / "run"
    options = {"steps": 40, "width": 16, "code_width": 4, "codes": 20}
    run = lookalike.train("vqvae", "digits", out=out, **options)
    alone = lookalike.load(run)
    lookalike.prior(run, steps=60, width=8, layers=2, lr=1e-2, warmup=5)
    joined = lookalike.load(out)
    data = open_data("digits")
    x = data.test.first(100)[0]
    with torch.inference_mode():
        k = joined.codes(x)
        images = k / 19
        torch.testing.assert_close(
            joined.log_prob(x) - alone.log_prob(x),
            joined.prior.log_prob(images) + k[0].numel() * math.log(20),
            atol=1e-3,
            rtol=0,
        )
        assert joined.log_prob(x).mean() > alone.log_prob(x).mean()
    of_codes = open_data(out / "code-images.npz")
    assert (of_codes.spec.levels, [len(s) for s in of_codes.splits.values()]) == (
        20,
        [len(s) for s in data.splits.values()],
    )
    assert torch.equal(of_codes.test.first(100)[0], images.float())  # what was held out is held out again
    assert of_codes.spec.classes == data.spec.classes
    assert torch.equal(of_codes.test.first(100)[1], data.test.first(100)[1])
    report = lookalike.evaluate(out, metrics=("nats",), limit=50)
    assert math.isfinite(json.loads(json.dumps(report.json()))["metrics"]["nats"]["value"])
    with pytest.raises(UserError, match="exists"):
        lookalike.prior(run, steps=30)
    # The same in one command, and again over what is there.
    short = dataclasses.replace(find("pixelcnn"), training={"steps": 10}, options={"width": 8, "layers": 2})
    monkeypatch.setitem(recipes(), "pixelcnn", short)
    again = lookalike.train("vqvae", "digits", out=out, overwrite=True, prior="pixelcnn", seed=1, **options)
    assert lookalike.load(again).prior.spec == lookalike.load(again).code_spec
    assert not torch.equal(lookalike.load(again).sample(4, seed=0), joined.sample(4, seed=0))
    lookalike.train(
        "vqvae", "digits", out=out, resume=True, prior="pixelcnn", seed=1, **options
    )  # nothing is left to do


def test_a_prior_is_refused_before_anything_is_trained(tmp_path: Path):
    with pytest.raises(UserError, match="has none: train vqvae"):
        lookalike.train("vae", "digits", out=tmp_path / "a", prior="pixelcnn")
    with pytest.raises(UserError, match="the codes are images"):
        lookalike.train("vqvae", "digits", out=tmp_path / "a", prior="ppca")
    assert not (tmp_path / "a").exists()
