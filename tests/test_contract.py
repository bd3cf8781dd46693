"""What every recipe promises: a new one is tested the day it appears."""

from __future__ import annotations

import itertools
import json
import re

import pytest
import torch
from torch import Tensor

from lookalike.data import Data, open_data
from lookalike.models.base import Encoder, Explicit, Implicit, Latent, Model, Repairer
from lookalike.options import options_of
from lookalike.recipe import Recipe, Training, find, recipes
from lookalike.spec import Column, Kind, Spec
from lookalike.tasks.train import train
from lookalike.training.loop import fit

CASES = [(name, kind) for name, recipe in recipes().items() for kind in recipe.kinds]
SEEN: dict[Kind, Data] = {}


def data(kind: Kind) -> Data:
    """Small labelled data of each kind; the table has numbers, gaps and categories."""
    if kind not in SEEN:
        draw = torch.Generator().manual_seed(0)
        if kind == "images":
            images = (torch.rand(40, 8, 8, generator=draw) > 0.6).to(torch.uint8).numpy()
            SEEN[kind] = open_data((images, [i % 2 for i in range(40)]))
        elif kind == "points":
            moons, _ = open_data("moons").train.first(400)
            SEEN[kind] = open_data((moons.numpy(), [i % 2 for i in range(400)]))
        else:
            import pandas

            frame = pandas.DataFrame(
                {
                    "age": torch.rand(40, generator=draw).mul(60).round().tolist(),
                    "pay": [None if i % 5 == 0 else 1000.0 + 7 * i for i in range(40)],
                    "town": ["Bern", "Rome", "Oslo", "Rome"] * 10,
                    "is": ["old", "new"] * 20,
                }
            )
            SEEN[kind] = open_data(frame, label="is")
    return SEEN[kind]


def built(name: str, kind: Kind) -> tuple[Model, Tensor, Tensor | None]:
    """A model, items and the labels it takes, if any."""
    torch.manual_seed(0)
    x, y = data(kind).train.first(12)
    model = find(name).resolved(kind).model(data(kind).spec)
    return model, x, y if model.conditional else None


def settled(name: str, kind: Kind) -> tuple[Model, Tensor, Tensor | None]:
    """A model that has seen a few batches, in eval mode."""
    model, x, y = built(name, kind)
    numbers = Training(**{**find(name).resolved(kind).training, "steps": 3, "epochs": None, "batch_size": 12})
    return fit(model, data(kind), numbers).average.eval(), x, y


def some(y: Tensor | None, n: int) -> Tensor | None:
    return None if y is None else y[:n]


@pytest.mark.parametrize("name", recipes())
def test_a_recipe_says_what_it_is_and_its_flags_clash_with_none(name: str) -> None:
    recipe = find(name)
    assert recipe.summary, "no summary"
    assert "\n" not in recipe.summary
    assert re.search(r"\b(19|20)\d\d\b", recipe.reference), "a reference names its year"
    options = set(options_of(recipe.build))
    taken = {**options_of(Training), **options_of(open_data), **options_of(train)}
    assert not options & set(taken), "an option of the builder is already a flag of train, of its data or its training"
    undocumented = [o for o, option in options_of(recipe.build).items() if not option.help]
    assert not undocumented, f"no help for {undocumented}"


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_a_resolved_recipe_survives_json(name: str, kind: Kind) -> None:
    resolved = find(name).resolved(kind)
    again = Recipe.from_json(json.loads(json.dumps(resolved.to_json())))
    assert again.to_json() == resolved.to_json()
    assert again.numbers == resolved.numbers


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_each_turn_reaches_its_player_and_players_own_all_and_share_no_part(name: str, kind: Kind) -> None:
    model, x, y = built(name, kind)
    owned = [set(map(id, module.parameters())) for module in model.players().values()]
    for one, other in itertools.combinations(owned, 2):
        # A whole player may be part of another: an encoder that reconstructs, and has another loss of its own.
        assert one <= other or one >= other or not one & other, "two players share some of their parameters"
    assert {id(p) for p in model.parameters()} == set().union(*owned), "a parameter belongs to no player"
    played = set()
    model.train()
    for turn in model.turns(x, y):
        parameters = [p for p in model.players()[turn.player].parameters() if p.requires_grad]
        assert turn.loss.shape == ()
        assert turn.loss.isfinite()
        gradients = torch.autograd.grad(turn.loss, parameters, allow_unused=True)
        assert any(g is not None and g.abs().sum() > 0 for g in gradients), f"{turn.player} is not moved by its loss"
        played.add(turn.player)
    assert played == set(model.players())


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_what_it_can_do_has_the_right_shapes_units_and_seeds(name: str, kind: Kind) -> None:
    model, x, y = settled(name, kind)
    with torch.inference_mode():
        if isinstance(model, Explicit | Implicit):
            fake = model.sample(5, some(y, 5), seed=1)
            assert fake.shape == (5, *model.spec.shape)
            torch.testing.assert_close(fake, model.sample(5, some(y, 5), seed=1), rtol=0, atol=0, equal_nan=True)
            assert not torch.equal(fake, model.sample(5, some(y, 5), seed=2))
            assert_units(model.spec, fake)
        if isinstance(model, Explicit):
            log_prob = model.log_prob(x, y)
            assert log_prob.shape == (len(x),)
            assert log_prob.isfinite().all()
            assert kind != "images" or (log_prob <= 0).all(), "the probability of a discrete image is above 1"
        if isinstance(model, Latent):
            z, of = torch.randn(4, model.latent), some(y, 4)
            one = model.decode(z[2:3], None if of is None else of[2:3])
            torch.testing.assert_close(model.decode(z, of)[2:3], one, rtol=1e-4, atol=1e-5, equal_nan=True)
        if isinstance(model, Encoder):
            z = model.encode(x, y)
            assert z.shape == (len(x), model.latent)
            assert model.reconstruct(x, y).shape == x.shape
            torch.testing.assert_close(z[:4], model.encode(x[:4], some(y, 4)), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_saved_weights_are_the_whole_model(name: str, kind: Kind) -> None:
    model, x, y = settled(name, kind)
    torch.manual_seed(5)
    again = find(name).resolved(kind).model(model.spec)
    again.load_state_dict(model.state_dict())
    again.eval()
    with torch.inference_mode():
        before, after = outcomes(model, x, y), outcomes(again, x, y)
    assert before
    for a, b in zip(before, after, strict=True):  # one has its channels innermost, which moves the last digit
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5, equal_nan=True)


def outcomes(model: Model, x: Tensor, y: Tensor | None) -> list[Tensor]:
    """All that depends on the weights, with the same noise each time."""
    torch.manual_seed(1)
    made = [model.log_prob(x, y)] if isinstance(model, Explicit) else []
    made += [model.sample(3, some(y, 3), seed=0)] if isinstance(model, Explicit | Implicit) else []
    made += [model.repair(x)] if isinstance(model, Repairer) else []
    return made + ([model.encode(x, y), model.reconstruct(x, y)] if isinstance(model, Encoder) else [])


def assert_units(spec: Spec, x: Tensor) -> None:
    """x is in the user's units: intensities on their grid, categories by index, gaps only where there were any."""
    if spec.kind == "images":
        assert ((x >= 0) & (x <= 1)).all()
        k = x * (spec.levels - 1)
        torch.testing.assert_close(k, k.round(), rtol=0, atol=1e-3)
        return
    for i, column in enumerate(spec.columns):
        values = x[:, i]
        assert column.missing or not values.isnan().any()
        if column.categories:
            assert set(values.tolist()) <= set(range(len(column.categories)))


def test_the_smallest_and_oddest_images_build_in_every_image_recipe() -> None:
    for name, recipe in recipes().items():
        if "images" not in recipe.kinds:
            continue
        for shape in ((1, 8, 8), (3, 9, 13)):
            spec = Spec("images", shape, 2, ("a", "b"))
            torch.manual_seed(0)
            model = recipe.resolved("images").model(spec).train()
            x = torch.rand(4, *shape).round()
            for turn in model.turns(x, torch.tensor([0, 1, 0, 1])):
                assert turn.loss.isfinite(), f"{name} on {shape}"


def test_an_all_categorical_table_trains() -> None:
    spec = Spec("table", (2,), classes=("p", "q"), columns=(Column("a", ("x", "y")), Column("b", ("u", "v", "w"))))
    x = torch.tensor([[0.0, 1.0], [1.0, 2.0], [1.0, 0.0], [0.0, 0.0]], dtype=torch.float64)
    for name, recipe in recipes().items():
        if "table" in recipe.kinds:
            for turn in recipe.resolved("table").model(spec).train().turns(x, torch.tensor([0, 1, 1, 0])):
                assert turn.loss.isfinite(), name
