"""PixelCNN++ and PixelSNAIL: distributions, causal, without a blind spot, and drawn by steps from what they score."""

from __future__ import annotations

import itertools

import pytest
import torch

from lookalike.errors import UserError
from lookalike.models.tractable.autoregressive.causal import CausalConv
from lookalike.models.tractable.autoregressive.pixelcnnpp import PixelCNNpp
from lookalike.models.tractable.autoregressive.pixelsnail import PixelSNAIL
from lookalike.models.tractable.autoregressive.raster import Raster, naive
from lookalike.nn.likelihoods import Bernoulli
from lookalike.nn.mixture import Mixture
from lookalike.spec import Spec

BUILDS = (PixelCNNpp, PixelSNAIL)
pytestmark = pytest.mark.parametrize("build", BUILDS)


def images(*shape: int, levels: int = 2, classes: tuple[str, ...] = ()) -> Spec:
    return Spec("images", shape, levels, classes)


def shaken(build, spec: Spec, scale: float = 0.5, **options) -> Raster:
    """A float64 model whose every weight counts."""
    torch.manual_seed(0)
    model = build(spec, **options).double()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, 0, scale)
    return model.eval()


def every_image(spec: Spec) -> torch.Tensor:
    values = [k / (spec.levels - 1) for k in range(spec.levels)]
    return torch.tensor(list(itertools.product(values, repeat=spec.dims)), dtype=torch.float64).view(-1, *spec.shape)


@pytest.mark.parametrize(
    ("spec", "options"),
    [
        (images(1, 3, 3), {}),
        (images(3, 2, 2), {}),
        (images(3, 2, 2), {"likelihood": "bernoulli"}),
        (images(1, 2, 2, levels=5), {"components": 3}),
        (images(2, 1, 3, levels=3), {"likelihood": "categorical"}),
        (images(1, 3, 3, classes=("cat", "dog")), {"conditional": True}),
    ],
    ids=str,
)
def test_probabilities_of_all_images_sum_to_one(build, spec, options):
    model, x = shaken(build, spec, width=6, **options), every_image(spec)
    y = torch.ones(len(x), dtype=torch.long) if spec.classes else None
    assert abs(model.log_prob(x, y).exp().sum().item() - 1) < 1e-9
    if y is not None:
        assert (model.log_prob(x, y) - model.log_prob(x, 0 * y)).abs().max() > 1e-3


@pytest.mark.parametrize(("channels", "likelihood"), [(1, "auto"), (2, "mixture"), (3, "categorical")])
def test_every_intensity_sees_the_whole_past_and_only_the_past(build, channels, likelihood):
    """No leak, exactly, and no blind spot: by the gradient of every pixel's params; wider than the convolutions see."""
    H, W = 5, (22 if channels == 1 else 8)
    model = shaken(build, images(channels, H, W, levels=2 + channels), width=6, likelihood=likelihood, components=2)
    groups = channels if model.likelihood.by_channel else 1
    mix = torch.randn(model.likelihood.width // groups, 1, 1, 1, dtype=torch.float64)  # since their sum might cancel

    def scores(x: torch.Tensor) -> torch.Tensor:
        params = model.params(x)[0].unflatten(0, (-1, groups))
        return (params * mix).sum(0).permute(1, 2, 0).flatten()  # in the order they are drawn

    x = torch.rand(1, channels, H, W, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(scores, x)[:, 0].permute(0, 2, 3, 1).flatten(1)
    if groups < channels:  # params of a pixel against the pixels before it
        jacobian = jacobian.unflatten(1, (-1, channels)).abs().amin(2)
        leak = torch.autograd.functional.jacobian(scores, x)[:, 0].permute(0, 2, 3, 1).flatten(1)
        leak = leak.unflatten(1, (-1, channels)).abs().amax(2)
    else:
        leak = jacobian
    past = torch.ones_like(jacobian).tril(-1).bool()
    assert (leak[~past] == 0).all()
    assert (jacobian[past] != 0).all()


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
@pytest.mark.parametrize(
    ("spec", "options"),
    [
        (images(1, 9, 8), {}),
        (images(3, 5, 7, levels=4), {}),
        (images(2, 5, 6, levels=3, classes=("a", "b")), {"likelihood": "categorical", "conditional": True}),
        (images(1, 1, 5), {}),
    ],
    ids=str,
)
def test_steps_give_what_the_whole_pass_gives(build, spec, options, dtype, tolerance):
    model = shaken(build, spec, 0.3, width=6, **options).to(dtype)
    n, given = 3, {step: [] for step in ("cached", "naive")}
    y = torch.tensor([0, 1, 0]) if spec.classes else None
    x = torch.zeros(n, *spec.shape, dtype=dtype)
    u = torch.rand(x.shape, dtype=torch.float64)

    def kept(name, step):
        def call(*place):
            given[name].append(step(*place).clone())
            return given[name][-1]

        return call

    with torch.inference_mode():
        hidden = torch.zeros_like(x, dtype=torch.bool)
        cached = model.drawn(x, hidden, u, kept("cached", model.network.stepper(n, y)))
        slow = model.drawn(x, hidden, u, kept("naive", naive(model.network, y)))
    assert torch.equal(cached, slow)
    assert cached.std() > 0.1
    for a, b in zip(given["cached"], given["naive"], strict=True):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


def test_a_step_gives_each_convolution_each_place_once(build, monkeypatch):
    """Rows and pixels go through a convolution as often as there are of them, and the whole image never."""
    model, places = shaken(build, images(1, 6, 8), width=4), []
    from lookalike.models.tractable.autoregressive.causal import Seen

    for name in ("row", "pixel"):
        original = getattr(Seen, name)

        def counted(self, x, *place, original=original):
            places.append((id(self), *place))
            return original(self, x, *place)

        monkeypatch.setattr(Seen, name, counted)
    whole = []
    monkeypatch.setattr(CausalConv, "forward", lambda self, x: whole.append(x.shape))
    monkeypatch.setattr(type(model.network.leave), "forward", lambda self, x, h: x[:, :1])
    model.sample(2, seed=0)
    assert not whole
    assert len(places) == len(set(places))


def test_samples_have_the_probabilities_the_model_gives(build):
    spec, n = images(1, 2, 3), 10_000
    model = shaken(build, spec, width=4)
    expected = n * model.log_prob(every_image(spec)).exp()
    index = (model.sample(n, seed=1).flatten(1) * 2 ** torch.arange(5, -1, -1)).sum(1).long()
    counts = torch.bincount(index, minlength=64)
    common = expected > 5
    chi_square, freedom = ((counts - expected) ** 2 / expected)[common].sum(), common.sum()
    assert freedom > 20
    assert chi_square < freedom + 4 * (2 * freedom) ** 0.5


def test_the_first_batch_standardises_and_is_saved_with_the_weights(build):
    spec, x = images(1, 8, 8, levels=4), (torch.rand(16, 1, 8, 8) * 3).round() / 3
    model = build(spec, width=8).train()
    next(model.turns(x, step=0))
    assert all(module.initialised for module in model.modules() if isinstance(module, CausalConv))
    blocks = [m for m in model.modules() if isinstance(m, CausalConv) and m.scale == 1.0]
    seen = {}
    hooks = [m.register_forward_hook(lambda m, _, out: seen.update({m: out})) for m in blocks]
    model.eval().log_prob(x)
    for hook in hooks:
        hook.remove()
    spread = torch.stack([seen[m].detach().std() for m in blocks])
    assert spread.median() == pytest.approx(1, abs=0.3)
    again = build(spec, width=8).train()
    again.load_state_dict(model.state_dict())
    next(again.turns(1 - x, step=0))
    torch.testing.assert_close(again.eval().log_prob(x), model.log_prob(x))


def test_one_switch_chooses_what_an_intensity_is_drawn_from(build):
    assert isinstance(build(images(1, 4, 4)).likelihood, Bernoulli)
    assert isinstance(build(images(1, 4, 4, levels=256)).likelihood, Mixture)
    assert isinstance(build(images(3, 4, 4)).likelihood, Mixture)
    with pytest.raises(UserError, match="is for binary images"):
        build(images(1, 4, 4, levels=3), likelihood="bernoulli")
    with pytest.raises(UserError, match="needs labels"):
        build(images(1, 4, 4), conditional=True)


def test_it_learns_what_is_there(build):
    """Two images with equal chance: log 2 nats is all there is to tell, of 25 at the start."""
    torch.manual_seed(0)
    model = build(images(1, 6, 6), width=8, blocks=1, dropout=0.0)
    two = (torch.rand(2, 1, 6, 6) > 0.5).float()
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    for step in range(60):
        for turn in model.turns(two.repeat(2, 1, 1, 1), step=step):
            optimiser.zero_grad()
            turn.loss.backward()
            optimiser.step()
    assert (model.log_prob(two) + torch.tensor(2.0).log()).abs().max() < 2
