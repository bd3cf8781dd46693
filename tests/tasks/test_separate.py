"""Separation: exact where the manifolds are known planes, weights found, files read and written, bad input refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lookalike.errors import UserError
from lookalike.metrics.separation import si_sdr
from lookalike.models.autoencoder.builders import linear_ae
from lookalike.spec import Column, Spec
from lookalike.tasks._separation import Source, consistent, fitted
from lookalike.tasks._separation import separate as search
from lookalike.tasks.separate import independent, separate

D = 8
BLIND = {"restarts": 4, "steps": 200, "prior_weight": 0.0}


@pytest.fixture(scope="module")
def planes() -> tuple[list[Source], torch.Tensor]:
    """Two sources whose manifolds are planes, and 60 draws of each, shape (60, 2, D)."""
    torch.manual_seed(0)
    spec = Spec("points", (D,), columns=tuple(Column(str(i)) for i in range(D)))
    sources, drawn = [], []
    for _ in range(2):
        model = linear_ae(spec, latent=2).eval()
        model.encoder[1].weight.data = torch.linalg.qr(torch.randn(D, 2)).Q.T.contiguous()
        for parameter in model.parameters():
            parameter.requires_grad_(False)
        model.decoder[0].bias.data.zero_()
        sources.append(Source(model, torch.randn(200, 2)))
        drawn.append(sources[-1].decode(torch.randn(60, 2).sign() * (1 + torch.rand(60, 2))))
    return sources, torch.stack(drawn, dim=1)


def test_sources_on_known_planes_come_back_from_one_mixture(planes):
    sources, s = planes
    A = torch.tensor([[1.0, 0.7]])
    found = search(sources, A @ s, A, restarts=2, steps=400, prior_weight=0.0)
    torch.testing.assert_close(found.s, s, atol=2e-2, rtol=0)
    assert found.error.max() < 1e-4


def test_weights_of_several_mixtures_are_found_where_ica_finds_none(planes):
    sources, s = planes
    A = torch.tensor([[1.0, 0.6], [0.5, -0.8]])
    found = search(sources, A @ s, None, **BLIND)
    assert si_sdr(s, found.s).mean() > 25
    torch.testing.assert_close(found.weights @ found.s, A @ s, atol=1e-3, rtol=1e-3)
    crossed = torch.linalg.inv(found.weights[0]) @ A  # diagonal: each source is one of them, at some scale
    assert (crossed - torch.diag(crossed.diagonal())).abs().max() < 0.05 * crossed.diagonal().abs().min()


def test_items_do_not_depend_on_their_batch_companions(planes):
    sources, s = planes
    A = torch.tensor([[1.0, 1.0]])
    x = A @ s
    size = x.square().mean()  # errors are shares of it
    alone = search(sources, x[:1] * (size / x[:1].square().mean()).sqrt(), A, restarts=2, steps=150, prior_weight=0.0)
    assert alone.s.shape == (1, 2, D)
    assert si_sdr(s[:1], alone.s).min() > 15


def test_what_is_found_adds_up_and_weights_are_least_squares():
    s, A = torch.randn(9, 3, 20), torch.randn(2, 3)
    x = A @ torch.randn(9, 3, 20)
    torch.testing.assert_close(A @ consistent(x, s, A), x, atol=1e-4, rtol=1e-4)
    flat = s.transpose(0, 1).flatten(1)
    best = torch.linalg.lstsq(flat.T, x.transpose(0, 1).flatten(1).T).solution.T
    torch.testing.assert_close(fitted(x, s), best, atol=1e-4, rtol=1e-4)


def test_ica_unmixes_what_is_independent():
    s = torch.rand(20, 2, 500) - 0.5
    found = independent(torch.tensor([[1.0, 0.5], [0.3, 1.0]]) @ s, 2, 0)
    best = torch.stack([si_sdr(s, found), si_sdr(s, found.flip(1))]).amax(0)
    assert best.mean() > 20


@pytest.mark.parametrize(("mixtures", "weights"), [(1, (1.0, 1.0)), (1, None), (2, None)])
def test_held_out_items_are_mixed_and_measured(mixtures, weights, runs, tmp_path):
    run = runs("linear-ae", "digits", latent=4)
    how = {"mixtures": mixtures, "weights": weights, "n": 6, "restarts": 2, "steps": 5}
    report = separate((run, run), **how, out=tmp_path / "s.png")
    gain = {name: metric.value for name, metric in report.metrics.items()}
    assert gain["si_sdr_gain"] == pytest.approx(gain["si_sdr"] - gain["si_sdr_mixture"])
    assert ("si_sdr_ica" in gain) == (mixtures == 2)
    assert Image.open(tmp_path / "s.png").height > 200


def test_the_users_own_mixtures_of_signals(runs, tmp_path):
    t = np.arange(16) / 16
    rng = np.random.default_rng(0)
    waves = np.sin(2 * np.pi * (t + rng.random((80, 1))))
    ramps = (t + rng.random((80, 1))) % 1
    np.save(tmp_path / "waves.npy", waves)
    np.save(tmp_path / "ramps.npy", ramps)
    both = [runs("linear-ae", str(tmp_path / f"{name}.npy"), latent=2) for name in ("waves", "ramps")]
    np.save(tmp_path / "x.npy", waves[:5] + ramps[:5])
    np.savez(tmp_path / "truth.npz", s=np.stack([waves[:5], ramps[:5]], axis=1))
    how = {"mixed": str(tmp_path / "x.npy"), "restarts": 2, "steps": 5}
    report = separate(tuple(both), **how, truth=str(tmp_path / "truth.npz"), out=tmp_path / "s.npz")
    assert report.metrics["si_sdr"].protocol["sources"] == 2
    with np.load(tmp_path / "s.npz") as file:
        assert file["s"].shape == (5, 2, 16)
        np.testing.assert_allclose((file["weights"] @ file["s"])[:, 0], waves[:5] + ramps[:5], atol=1e-4)
    separate(tuple(both), **how, out=tmp_path / "s.csv")
    assert (tmp_path / "s.csv").read_text().count("\n") == 11
    separate(tuple(both), **how, out=tmp_path / "s.png")
    assert Image.open(tmp_path / "s.png").width > 800


def test_what_cannot_be_separated_is_said_in_a_sentence(runs, tmp_path):
    run, out = runs("linear-ae", "digits", latent=4), tmp_path / "s.npz"

    def refused(words: str, *names: str, **how) -> None:
        with pytest.raises(UserError, match=words):
            separate(names or (run, run), out=out, steps=1, **how)
        assert not out.exists()

    def saved(name: str, array: np.ndarray) -> str:
        np.save(tmp_path / name, array)
        return str(tmp_path / name)

    refused("at least two", run)
    refused("does not exist", run, str(tmp_path / "none"))
    refused("what is added is of one shape", run, runs("linear-ae", "iris", latent=2))
    refused("has none: ", run, runs("pixelcnn", "digits", width=4, layers=1))
    refused("no file", mixed=str(tmp_path / "none.npy"))
    refused(r"has shape \(3, 5, 5\)", mixed=saved("shape.npy", np.zeros((3, 5, 5))))
    refused("missing or infinite", mixed=saved("nan.npy", np.full((3, 8, 8), np.nan)))
    refused("holds no numbers", mixed=saved("empty.npy", np.zeros((0, 8, 8))))
    refused("holds no numbers", mixed=saved("words.npy", np.array(["a", "b"])))
    refused("--weights must be 2 numbers", weights=(1.0, 2.0, 3.0))
    refused("--truth is of --mixed", truth="s.npz")
    good = saved("good.npy", np.random.default_rng(0).random((3, 8, 8)))
    refused("should hold 3 items of 2 sources", mixed=good, truth=saved("t.npy", np.zeros((2, 2, 8, 8))))
    out.write_text("mine")
    with pytest.raises(UserError, match=r"exists.*--overwrite"):
        separate((run, run), out=out)
    assert Path(out).read_text() == "mine"
