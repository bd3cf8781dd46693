"""Steppers: the same params as from the whole image, pixel by pixel, and so the same images from the same numbers."""

from __future__ import annotations

import pytest
import torch

from lookalike.models.tractable.autoregressive.maskedpixelcnn import MaskedPixelCNN
from lookalike.models.tractable.autoregressive.pixelcnn import PixelCNN
from lookalike.models.tractable.autoregressive.raster import Raster, naive
from lookalike.models.tractable.autoregressive.stepping import Rows
from lookalike.spec import Spec

CASES = {
    "grey": (PixelCNN, (1, 9, 7), 5, {}),
    "binary": (PixelCNN, (1, 7, 9), 2, {"kernel": 3}),
    "colour": (PixelCNN, (3, 6, 5), 4, {}),
    "two channels": (PixelCNN, (2, 5, 6), 3, {"layers": 1}),
    "conditional": (PixelCNN, (2, 6, 6), 3, {"conditional": True}),
    "mixture": (PixelCNN, (3, 5, 6), 17, {"likelihood": "mixture", "components": 3, "conditional": True}),
    "one column": (PixelCNN, (1, 6, 1), 3, {}),
    "masked": (MaskedPixelCNN, (1, 9, 7), 5, {}),
    "masked, colour": (MaskedPixelCNN, (3, 6, 5), 4, {"conditional": True}),
    "masked, mixture": (MaskedPixelCNN, (2, 6, 5), 9, {"likelihood": "mixture", "components": 2}),
}


def built(case: str) -> tuple[Raster, torch.Tensor | None]:
    """A float64 model whose every weight counts, and labels."""
    build, shape, levels, options = CASES[case]
    spec = Spec("images", shape, levels, ("a", "b", "c"))
    torch.manual_seed(0)
    model = build(spec, **{"width": 7, "layers": 3, **options}).double()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, 0, 0.3)
    return model.eval(), torch.tensor([2, 0, 1]) if model.conditional else None


@pytest.mark.parametrize("case", CASES)
def test_steps_give_the_params_of_the_whole_image(case):
    model, y = built(case)
    C, H, W = model.spec.shape
    x = torch.randint(model.spec.levels, (3, C, H, W)).double() / (model.spec.levels - 1)
    expected = model.params(x, y)
    channels = C if model.likelihood.by_channel else 1
    step = model.network.stepper(3, y)
    for _ in range(2):  # a stepper begins anew at the first pixel
        h = torch.full_like(x, torch.nan)  # what is not drawn yet must not be looked at
        for i in range(H):
            for j in range(W):
                for c in range(channels):
                    params = step(h, i, j, c)
                    assert params.shape == (3, model.likelihood.width)
                    torch.testing.assert_close(
                        params[:, c::channels], expected[:, c::channels, i, j], rtol=1e-12, atol=1e-12
                    )
                    h[:, c, i, j] = model.door.enter(x)[:, c, i, j]
                h[:, :, i, j] = model.door.enter(x)[:, :, i, j]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("temperature", [1.0, 0.0])
def test_steps_draw_the_images_that_naive_sampling_draws(case, temperature):
    model, y = built(case)
    drawn = model.sample(3, y, seed=1, temperature=temperature)
    u = torch.rand(3, *model.spec.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    with torch.no_grad():
        blank = torch.zeros_like(u), torch.zeros(1, dtype=torch.bool)
        assert torch.equal(drawn, model.drawn(*blank, u, naive(model.network, y), temperature))
    assert temperature == 0 or drawn.std() > 0.1


@pytest.mark.parametrize("case", ["grey", "colour", "mixture", "masked", "masked, colour"])
def test_steps_in_float32_stay_near_naive_ones(case):
    model, y = built(case)
    model.float()
    x = torch.randint(model.spec.levels, (3, *model.spec.shape)) / (model.spec.levels - 1)
    h = model.door.enter(x)
    channels = model.spec.shape[0] if model.likelihood.by_channel else 1
    with torch.inference_mode():
        expected, step = model.params(x, y), model.network.stepper(3, y)
        for i in range(x.shape[2]):
            for j in range(x.shape[3]):
                for c in range(channels):
                    got = step(h, i, j, c)[:, c::channels]
                    torch.testing.assert_close(got, expected[:, c::channels, i, j], rtol=0, atol=1e-5)


def test_what_is_known_stays_and_the_rest_is_drawn_as_naively():
    model, _ = built("colour")
    x = torch.randint(4, (3, *model.spec.shape)).double() / 3
    mask = torch.zeros(1, 3, 6, 5, dtype=torch.bool)
    mask[..., 2:] = True
    mask[:, 1] = True
    rows = []
    drawn = model.complete(x, mask, seed=2, watch=lambda _, row: rows.append(row))
    assert rows == list(range(1, 7))
    assert torch.equal(drawn[mask.expand_as(x)], x[mask.expand_as(x)])
    u = torch.rand(x.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    with torch.no_grad():
        assert torch.equal(drawn, model.drawn(x, mask, u, naive(model.network, None)))


def test_rows_convolve_as_the_whole_image_does():
    weight, bias = torch.randn(5, 2, 3, 5, dtype=torch.float64), torch.randn(5, dtype=torch.float64)
    image = torch.randn(4, 2, 8, 6, dtype=torch.float64)
    expected = torch.nn.functional.conv2d(torch.nn.functional.pad(image, (2, 2, 2, 0)), weight, bias)
    rows = Rows(weight, bias, 4, 6)
    for i in range(8):
        got = rows(image[:, :, i].transpose(1, 2)).view(4, 6, 5)
        torch.testing.assert_close(got, expected[:, :, i].transpose(1, 2))
