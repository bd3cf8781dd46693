"""A training run as plain data: builder, options, optimiser numbers, the data it is for, the paper.

A named variant of a model is a `Recipe`, not a class. Because every value is plain, a recipe is also
the saved configuration, the flags of the command line and the form of a user interface.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypedDict

from .errors import UserError, nearest
from .options import PerPlayer, Range, check, options_of
from .plain import conform
from .spec import KINDS, Kind, Spec

Clock = Literal["wall", "processor"]


@dataclass(frozen=True)
class Training:
    """The numbers of an optimiser and its schedule.

    Arguments:
        steps: updates in all; a game of several players counts one round as one step.
        epochs: passes over the training split; where given, it takes the place of `steps`.
        minutes: limit of time; where given, the schedule runs down to its end in that time.
        clock: what minutes are of: the clock on the wall, or the time the processor works for this training.
        batch_size: items in one step, over all processes.
        lr: learning rate, one for all or `player=rate,player=rate`.
        betas: of Adam; the first is the momentum of SGD, the second how long RMSprop remembers.
        optimiser: adam, sgd, rmsprop, or muon, which makes the steps of weight matrices orthogonal and learns densities
            of images in far fewer.
        weight_decay: decoupled, as AdamW has it.
        schedule: cosine to zero after the warm-up, or constant.
        warmup: steps over which the rate rises from zero.
        clip: a gradient longer than this many times its running norm is cut to that; 0 for never.
        ema: decay of the average of the weights, which is what is evaluated and saved; 0 for none.
        accumulate: chunks a batch is computed in, to save memory; the result is the same.
    """

    steps: Annotated[int, Range(1)] = 5000
    epochs: Annotated[float | None, Range(0, above=True)] = None
    minutes: Annotated[float | None, Range(0, above=True)] = None
    clock: Clock = "wall"
    batch_size: Annotated[int, Range(1)] = 64
    lr: Annotated[PerPlayer, Range(0, above=True)] = 1e-3
    betas: Annotated[tuple[float, float], Range(0, 0.99999)] = (0.9, 0.999)
    optimiser: Literal["adam", "muon", "sgd", "rmsprop"] = "adam"
    weight_decay: Annotated[float, Range(0)] = 0.0
    schedule: Literal["cosine", "constant"] = "cosine"
    warmup: Annotated[int, Range(0)] = 100
    clip: Annotated[float, Range(0)] = 5.0
    ema: Annotated[float, Range(0, 0.99999)] = 0.999
    accumulate: Annotated[int, Range(1)] = 1


class SavedRecipe(TypedDict):
    """A resolved recipe as it is saved."""

    name: str
    build: str
    kind: Kind
    options: dict[str, Any]
    training: dict[str, Any]


@dataclass(frozen=True)
class Recipe:
    """A model and how it is trained.

    Arguments:
        build: makes the model: `build(spec, **options)`; its signature names the options.
        summary: one line for the catalogue.
        reference: the paper.
        kinds: of data it can take.
        data: what it is trained on where the user names nothing.
        binarize: how that default data is made binary, if it is.
        options: what differs from the builder's own defaults.
        training: what differs from `Training`'s defaults.
        by_kind: for a kind of data, what differs again (both options and training numbers).
    """

    build: Callable[..., Any]
    summary: str
    reference: str
    kinds: tuple[Kind, ...] = KINDS
    data: str = "mnist-5k"
    binarize: Literal["dynamic", "threshold"] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    by_kind: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    name: str = ""

    def resolved(self, kind: Kind, given: Mapping[str, Any] | None = None) -> Recipe:
        """This recipe for one kind of data, with the user's own options over its own, all of them spelt out.

        Raises:
            UserError: the recipe does not take that kind of data, or an option is unknown or out of range.
        """
        if kind not in self.kinds:
            fitting = [name for name, recipe in recipes().items() if kind in recipe.kinds]
            raise UserError(
                f"{self.name} takes {' or '.join(self.kinds)}, but this data is {kind}. "
                f"Recipes for {kind}: {', '.join(fitting)}."
            )
        numbers = {f.name for f in dataclasses.fields(Training)}
        merged = {**self.options, **self.training, **self.by_kind.get(kind, {}), **(given or {})}
        for_build = {name: value for name, value in merged.items() if name not in numbers}
        for_training = {name: value for name, value in merged.items() if name in numbers}
        defaults = {name: option.default for name, option in options_of(self.build).items()}
        return dataclasses.replace(
            self,
            kinds=(kind,),
            options={**defaults, **check(self.build, for_build, self.name, also=numbers)},
            training=dataclasses.asdict(Training(**check(Training, for_training, self.name))),
            by_kind={},
        )

    @property
    def numbers(self) -> Training:
        """The optimiser numbers of a resolved recipe."""
        return Training(**self.training)

    def model(self, spec: Spec, **networks: Any) -> Any:
        """The model of a resolved recipe for data like `spec`; `networks` are the user's own modules, if any.

        Raises:
            UserError: the builder takes no network of that name.
        """
        taken = set(inspect.signature(self.build).parameters) - {"spec"} - set(self.options)
        for name in networks:
            if name not in taken:
                takes = f"it takes {', '.join(sorted(taken))}" if taken else "it takes none"
                raise UserError(f"{self.name} takes no network {name!r} of your own: {takes}.")
        return self.build(spec, **self.options, **networks)

    def to_json(self) -> SavedRecipe:
        """A resolved recipe as plain values."""
        return {
            "name": self.name,
            "build": f"{self.build.__module__}:{self.build.__qualname__}",
            "kind": self.kinds[0],
            "options": dict(self.options),
            "training": dict(self.training),
        }

    @classmethod
    def from_json(cls, saved: Any) -> Recipe:
        """The resolved recipe that `to_json` gave.

        Raises:
            UserError: it did not give this, or it names a builder that is not one of ours: a saved run is data
                and never names code.
        """
        conform(saved, SavedRecipe, "the recipe")
        module, _, name = saved["build"].partition(":")
        known = {(r.build.__module__, r.build.__qualname__): r for r in recipes().values()}
        if (module, name) not in known:
            raise UserError(f"the run was made by the builder {saved['build']!r}, which this Lookalike does not have.")
        recipe = recipes().get(saved["name"], known[module, name])
        build = known[module, name].build
        return dataclasses.replace(
            recipe,
            name=saved["name"],
            build=build,
            kinds=(saved["kind"],),
            options=check(build, saved["options"], saved["name"]),
            training=check(Training, saved["training"], saved["name"]),
            by_kind={},
        )


@functools.cache
def recipes() -> dict[str, Recipe]:
    """Every recipe by name: the `RECIPES` of each module named `recipes` below `lookalike.models`."""
    models = importlib.import_module("lookalike.models")
    found: dict[str, Recipe] = {}
    for module in pkgutil.walk_packages(models.__path__, "lookalike.models."):
        if module.name.rpartition(".")[2] == "recipes":
            for name, recipe in importlib.import_module(module.name).RECIPES.items():
                if name in found:
                    raise ValueError(f"two recipes are named {name!r}; the second is in {module.name}")
                found[name] = dataclasses.replace(recipe, name=name)
    return found


def find(name: str) -> Recipe:
    """The recipe of that name, or a UserError with the nearest one."""
    known = recipes()
    if name not in known:
        raise UserError(f"no recipe named {name!r}.{nearest(name, known)} `lookalike catalog` lists all {len(known)}.")
    return known[name]
