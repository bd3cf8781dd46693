"""What a discriminator is shown: packs, noise that falls, changes that the generator's gradient passes through."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from lookalike.errors import UserError
from lookalike.models.implicit.gan.builders import gan
from lookalike.models.implicit.gan.gan import GAN
from lookalike.models.implicit.gan.view import View
from lookalike.spec import Column, Spec

POINTS = Spec("points", (2,), columns=(Column("a", mean=3.0, std=2.0), Column("b")))
IMAGES = Spec("images", (1, 8, 8), levels=256)
SPECS = {"points": POINTS, "images": IMAGES}


def data(spec: Spec, B: int) -> Tensor:
    return torch.rand(B, *spec.shape) if spec.kind == "images" else torch.randn(B, 2, dtype=torch.float64)


def small(kind: str, **options) -> GAN:
    torch.manual_seed(0)
    return gan(SPECS[kind], width=8, latent=4, **options)


class Seen(nn.Module):
    """A discriminator that keeps what it is shown, and whose logit is linear in it."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.linear = nn.Linear(size, 1)
        self.shown: list[Tensor] = []

    def forward(self, h: Tensor) -> Tensor:
        self.shown.append(h)
        return self.linear(h.flatten(1))


@pytest.mark.parametrize("shape", [(3,), (2, 4, 5)])
def test_a_pack_is_its_items_side_by_side(shape):
    h = torch.randn(7, *shape)
    packed = View(pack=3).packed(h)
    assert packed.shape == (2, 3 * shape[0], *shape[1:])
    for i in range(2):
        assert torch.equal(packed[i], torch.cat(list(h[3 * i : 3 * i + 3])))
    with pytest.raises(UserError, match="no pack of 8"):
        View(pack=8).packed(h)


def test_instance_noise_has_its_deviation_and_falls_on_a_line_to_nothing():
    h, view = torch.zeros(20_000, 2), View(noise=0.8, noise_steps=100)
    for step, std in ((0, 0.8), (25, 0.6), (75, 0.2)):
        assert view(h, step).std().item() == pytest.approx(std, rel=0.02)
    assert torch.equal(view(h, 100), h)
    assert torch.equal(view(h, 500), h)


@pytest.mark.parametrize("kind", SPECS)
def test_data_and_samples_are_both_shown_so_and_the_generator_is_moved_through_it(kind):
    changes = {"augment": ("colour", "translation", "cutout")} if kind == "images" else {}
    size = 2 * (64 if kind == "images" else 2)
    critic = Seen(size)
    model = small(kind, pack=2, instance_noise=0.3, discriminator=critic, penalty="r1", **changes)
    x = data(model.spec, 6)
    torch.manual_seed(1)
    critic.shown.clear()
    discriminator, generator = model.turns(x, step=7)
    both, penalised, fake = critic.shown[0], critic.shown[1], critic.shown[2]
    assert both.shape[0] == 6  # three packs of data, three of samples
    assert torch.equal(penalised, both[:3])  # the slope is at what D is shown
    assert torch.equal(fake, both[3:])  # and the generator is judged by what D was shown of it
    assert not torch.equal(both[:3], model.view.packed(model.door.enter(x)).float())
    gradients = torch.autograd.grad(generator.loss, list(model.generator.parameters()))
    assert sum(g.abs().sum() for g in gradients) > 0
    slope = critic.linear.weight.square().sum()
    torch.testing.assert_close(discriminator.logs["penalty"], slope / 2)  # of a pack, all its numbers are one place


def test_the_generators_gradient_is_that_of_the_changes_it_was_judged_by():
    """With cutout alone and a linear logit, what is cut out of a sample moves nothing, and the rest all of it."""
    critic = Seen(64)
    model = small("images", augment=("cutout",), discriminator=critic, penalty="none", objective="hinge")
    made: list[Tensor] = []
    generate = model.generate
    model.generate = lambda *given, **named: made.append(generate(*given, **named)) or made[-1]
    _, generator = model.turns(data(IMAGES, 3))
    (gradient,) = torch.autograd.grad(generator.loss, made[0])
    kept = critic.shown[-1] != 0
    expected = -critic.linear.weight.view(1, 1, 8, 8).expand(3, -1, -1, -1) / 3 * kept
    torch.testing.assert_close(gradient, expected)
    assert (~kept).any()


@pytest.mark.parametrize("kind", SPECS)
def test_what_is_sampled_is_not_changed(kind):
    plain = small(kind).eval()
    changes = {"augment": ("colour", "cutout")} if kind == "images" else {}
    torch.manual_seed(0)
    shown = small(kind, instance_noise=1.0, **changes).eval()
    assert torch.equal(plain.sample(5, seed=0), shown.sample(5, seed=0))


def test_a_model_of_packs_judges_packs():
    model = small("points", pack=2)
    x = data(POINTS, 6)
    loss, real_logits, fake_logits = model.judge(x, x)
    assert real_logits.shape == fake_logits.shape == (3,)
    assert loss.isfinite()
