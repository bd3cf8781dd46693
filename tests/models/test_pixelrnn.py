"""PixelRNN: a distribution, causal; the diagonals see the whole past, the rows their triangle; cached as it scores."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from lookalike.models.tractable.autoregressive.pixelrnn import pixelrnn
from lookalike.models.tractable.autoregressive.pixelrnn_layers import DiagonalLayer
from lookalike.models.tractable.autoregressive.raster import Raster, naive
from lookalike.spec import Spec

LAYERS = ["row", "diagonal"]


def images(*shape: int, levels: int = 2, classes: tuple[str, ...] = ()) -> Spec:
    return Spec("images", shape, levels, classes)


def shaken(spec: Spec, scale: float = 0.5, **options) -> Raster:
    """A float64 model whose every weight counts."""
    model = pixelrnn(spec, **options).double()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, 0, scale)
    return model.eval()


def every_image(spec: Spec) -> Tensor:
    values = [k / (spec.levels - 1) for k in range(spec.levels)]
    return torch.tensor(list(itertools.product(values, repeat=spec.dims)), dtype=torch.float64).view(-1, *spec.shape)


def excess(model: Raster, spec: Spec, y: Tensor | None = None) -> float:
    """By how much the probabilities of all images miss 1."""
    return abs(model.log_prob(every_image(spec), y).exp().sum().item() - 1)


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("likelihood", ["auto", "mixture"])
@pytest.mark.parametrize("spec", [images(1, 3, 3), images(3, 2, 2), images(1, 2, 2, levels=5)], ids=str)
def test_probabilities_of_all_images_sum_to_one(spec, layer, likelihood):
    model = shaken(spec, layer=layer, width=5, layers=2, likelihood=likelihood, components=2)
    assert excess(model, spec) < 1e-9


def test_a_map_from_the_right_that_is_not_shifted_down_is_no_distribution():
    """The fault of the common code: it trains well, and the probabilities show it at once."""
    spec = images(1, 3, 3)
    model = shaken(spec, width=5, layers=2)
    for layer in model.network.layers:
        assert isinstance(layer, DiagonalLayer)
        layer.down = layer.mirror
    assert excess(model, spec) > 1e-3


@pytest.mark.parametrize("layer", LAYERS)
def test_probabilities_sum_to_one_for_each_class_and_differ_between_them(layer):
    spec, x = images(1, 2, 3, classes=("cat", "dog")), every_image(images(1, 2, 3))
    model = shaken(spec, layer=layer, width=4, layers=2, conditional=True)
    cat, dog = (model.log_prob(x, torch.full((len(x),), y)).exp() for y in (0, 1))
    assert abs(cat.sum().item() - 1) < 1e-9
    assert abs(dog.sum().item() - 1) < 1e-9
    assert (cat - dog).abs().max() > 1e-3


def jacobian(model: Raster) -> Tensor:
    """Of what each intensity is drawn from, by each intensity, both in the order they are drawn."""
    C, H, W = model.spec.shape
    mix = torch.randn(model.spec.levels, 1, 1, 1, dtype=torch.float64)  # since the sum of the levels might cancel

    def scores(x: Tensor) -> Tensor:
        logits = model.params(x).unflatten(1, (-1, C))[0]
        return (logits * mix[: len(logits)]).sum(0).permute(1, 2, 0).flatten()

    x = torch.rand(1, C, H, W, dtype=torch.float64)
    return torch.autograd.functional.jacobian(scores, x)[:, 0].permute(0, 2, 3, 1).flatten(1)


@pytest.mark.parametrize(("channels", "levels"), [(1, 2), (3, 3)])
@pytest.mark.parametrize("layers", [1, 2])
def test_diagonals_see_the_whole_past_and_only_the_past(channels, levels, layers):
    """On images wider than the first convolution, whose own view would hide a blind spot."""
    # Wide, since a pixel whose few rectifiers in the head are all off sees nothing.
    seen = jacobian(shaken(images(channels, 4, 11, levels=levels), 0.3, width=24, layers=layers))
    past = torch.ones_like(seen).tril(-1).bool()
    assert (seen[~past] == 0).all()
    assert (seen[past] != 0).all()


@pytest.mark.parametrize("layers", [1, 2])
def test_rows_see_a_triangle_and_only_the_past(layers):
    """d rows above: d columns further than the first convolution, and to the left one more for each layer."""
    H, W = 7, 13
    seen = jacobian(shaken(images(1, H, W), layer="row", width=12, layers=layers)) != 0
    i, j = torch.arange(H)[:, None].expand(H, W).flatten(), torch.arange(W).repeat(H)
    d, right = i[:, None] - i, j - j[:, None]
    triangle = (d >= 1) & (right >= -(d + layers + 3)) & (right <= d + 2)
    own_row = (d == 0) & (right >= -(layers + 3)) & (right <= -1)
    assert torch.equal(seen, triangle | own_row)


CASES = [
    (images(1, 7, 5), "auto"),
    (images(1, 1, 5), "auto"),
    (images(1, 5, 1, levels=3), "auto"),
    (images(3, 4, 5, levels=4), "auto"),
    (images(3, 4, 5, levels=4), "mixture"),
    (images(2, 4, 5, levels=3, classes=("a", "b", "c")), "auto"),
]


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
@pytest.mark.parametrize(("spec", "likelihood"), CASES, ids=str)
def test_a_pixel_at_a_time_is_all_at_once(spec, likelihood, layer, dtype, tolerance):
    labelled = bool(spec.classes)
    options = {"width": 5, "layers": 3, "likelihood": likelihood, "components": 2, "conditional": labelled}
    model = shaken(spec, 0.3, layer=layer, **options).to(dtype)
    y = torch.tensor([0, 2, 1]) if labelled else None
    u = torch.rand(3, *spec.shape, dtype=torch.float64)
    blank, none = torch.zeros(3, *spec.shape), torch.zeros(1, 1, 1, 1, dtype=torch.bool)
    with torch.inference_mode():
        x = model.drawn(blank, none, u, naive(model.network, y))
        assert torch.equal(model.drawn(blank, none, u, model.network.stepper(3, y)), x)
        h, params, step = model.door.enter(x), model.params(x, y), model.network.stepper(3, y)
        C, H, W = spec.shape
        for i, j in itertools.product(range(H), range(W)):
            for c in range(C) if model.likelihood.by_channel else [0]:
                own = slice(c, None, C) if model.likelihood.by_channel else slice(None)
                torch.testing.assert_close(step(h, i, j, c)[:, own], params[:, own, i, j], rtol=0, atol=tolerance)


@pytest.mark.parametrize("layer", LAYERS)
def test_samples_have_the_probabilities_the_model_gives(layer):
    spec = images(1, 3, 3)
    model, n = shaken(spec, 0.4, layer=layer, width=4, layers=2), 20_000
    expected = n * model.log_prob(every_image(spec)).exp()
    index = (model.sample(n, seed=1).flatten(1) * 2 ** torch.arange(8, -1, -1)).sum(1).long()
    counts = torch.bincount(index, minlength=512)
    common = expected > 5
    chi_square, freedom = ((counts - expected) ** 2 / expected)[common].sum(), common.sum()
    assert freedom > 50
    assert chi_square < freedom + 4 * (2 * freedom) ** 0.5


@pytest.mark.parametrize("layer", LAYERS)
def test_an_item_does_not_depend_on_its_batch(layer):
    model, x = shaken(images(1, 5, 5), layer=layer, width=4, layers=2), torch.rand(8, 1, 5, 5).round()
    torch.testing.assert_close(model.log_prob(x[:1]), model.log_prob(x)[:1], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("layer", LAYERS)
def test_it_learns_what_is_there(layer):
    """Two images with equal chance: log 2 nats is all there is to tell, of 17 at the start."""
    model = pixelrnn(images(1, 5, 5), layer=layer, width=12, layers=2)
    two = (torch.rand(2, 1, 5, 5) > 0.5).float()
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    for step in range(60):
        for turn in model.turns(two.repeat(4, 1, 1, 1), step=step):
            optimiser.zero_grad()
            turn.loss.backward()
            optimiser.step()
    assert (model.log_prob(two) + torch.tensor(2.0).log()).abs().max() < 0.5
