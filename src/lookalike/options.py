"""A signature is the command, the form and the check: options read off a function.

`options_of(fn)` turns the parameters of a builder, a task or a dataclass into `Option`s: name, type,
default, range, choices and help (from the docstring). The command line makes flags of them; `check`
refuses a wrong name or value with one sentence, the same one in Python and in the shell.

    >>> def build(spec, latent: Annotated[int, Range(1)] = 20): ...
    >>> check(build, {"latent": 0}, "vae")
    Traceback (most recent call last):
    lookalike.errors.UserError: vae: latent must be at least 1, but is 0.
"""

from __future__ import annotations

import functools
import inspect
import math
import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, Union, get_args, get_origin, get_type_hints

import docstring_parser

from .errors import UserError, nearest

PLAIN = (bool, int, float, str, Path)

R = TypeVar("R")

MOST = 10**18
"""The largest whole number: it fits in 64 bits."""


class Range(NamedTuple):
    """Inclusive bounds of a number, as `Annotated[int, Range(1)]`; `above` excludes the lower one."""

    low: float = -math.inf
    high: float = math.inf
    above: bool = False

    def __contains__(self, value: object) -> bool:
        if not isinstance(value, int | float) or math.isnan(value):
            return False
        return (value > self.low if self.above else value >= self.low) and value <= self.high

    def __str__(self) -> str:
        low = f"{'above' if self.above else 'at least'} {self.low:g}" if self.low > -math.inf else ""
        high = f"at most {self.high:g}" if self.high < math.inf else ""
        return " and ".join(filter(None, [low, high]))


EVERYTHING = Range()

PerPlayer = float | Mapping[str, float]
"""One number for all players, or one for each: 2e-4, or {"generator": 1e-4, "discriminator": 4e-4}."""


@dataclass(frozen=True)
class Option:
    """One parameter as the user sees it."""

    name: str
    type: type
    default: Any = None
    required: bool = False
    optional: bool = False
    many: bool = False
    count: int | None = None
    per_player: bool = False
    positional: bool = False
    choices: tuple[str, ...] = ()
    words: tuple[str, ...] = ()  # that may stand in place of a number
    range: Range = EVERYTHING
    help: str = ""

    def check(self, value: Any, where: str) -> Any:
        """`value` as this option's type, or a UserError that says what was expected."""
        if value is None and (self.optional or self.default is None):
            return None
        if self.per_player and isinstance(value, Mapping):
            return {player: self._one(v, where) for player, v in value.items()}
        if self.many:
            items = value if isinstance(value, tuple | list) else (value,)
            if self.count not in (None, len(items)):
                raise UserError(f"{where}: {self.name} must be {self.count} values, but is {value!r}.")
            return tuple(self._one(v, where) for v in items)
        return self._one(value, where)

    def _one(self, value: Any, where: str) -> Any:
        if self.choices:
            if value not in self.choices:
                raise UserError(
                    f"{where}: {self.name} must be one of {', '.join(self.choices)}, but is {value!r}."
                    + nearest(str(value), self.choices)
                )
            return value
        if isinstance(value, str) and value in self.words:
            return value
        if self.type is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if self.type is Path and isinstance(value, str):
            value = Path(value)
        if not isinstance(value, self.type) or (self.type is not bool and isinstance(value, bool)):
            wanted = {int: "a whole number", float: "a number", bool: "true or false"}.get(self.type, "text")
            wanted = " or ".join([wanted, *self.words])
            raise UserError(f"{where}: {self.name} must be {wanted}, but is {value!r}.")
        if self.type in (int, float) and value not in self.range:
            raise UserError(f"{where}: {self.name} must be {self.range}, but is {value!r}.")
        if value == math.inf or (isinstance(value, int) and abs(value) > MOST):
            raise UserError(f"{where}: {self.name} must be at most {MOST:.0e}, but is {value!r}.")
        return value


def options_of(fn: Callable[..., Any]) -> dict[str, Option]:
    """The plain parameters of a function or dataclass, by name.

    A parameter whose type is not plain (an `nn.Module`, a `Spec`) is no option: only Python can pass it.
    """
    target = vars(fn)["__init__"] if isinstance(fn, type) else fn
    hints = get_type_hints(target, include_extras=True)
    help_of = {p.arg_name: (p.description or "") for p in docstring_parser.parse(inspect.getdoc(fn) or "").params}
    found: dict[str, Option] = {}
    for parameter in inspect.signature(fn).parameters.values():
        if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            continue
        read = _read_type(hints.get(parameter.name, str))
        if read is None:
            continue
        required = parameter.default is parameter.empty
        found[parameter.name] = Option(
            name=parameter.name,
            default=None if required else parameter.default,
            required=required,
            positional=parameter.kind is parameter.POSITIONAL_OR_KEYWORD and not isinstance(fn, type),
            help=" ".join(help_of.get(parameter.name, "").split()),
            **read,
        )
    return found


def check(fn: Callable[..., Any], given: Mapping[str, Any], where: str, also: Iterable[str] = ()) -> dict[str, Any]:
    """`given` checked against the options of `fn`: unknown names and wrong values are refused.

    `also` are further names the user could have meant, for the sentence about an unknown one.
    """
    known = options_of(fn)
    for name in given:
        if name not in known:
            could = sorted({*known, *also})
            raise UserError(f"{where} has no option {name!r}.{nearest(name, could)} It takes: {', '.join(could)}.")
    return {name: known[name].check(value, where) for name, value in given.items()}


@functools.cache
def checked(fn: Callable[..., R]) -> Callable[..., R]:
    """`fn`, refusing a wrong value of a keyword option in the words of the command line."""
    options = {name: option for name, option in options_of(fn).items() if not option.positional}

    @functools.wraps(fn)
    def call(*arguments: Any, **given: Any) -> R:
        sound = {n: options[n].check(v, fn.__name__) if n in options else v for n, v in given.items()}
        return fn(*arguments, **sound)

    return call


def parse(option: Option, text: str, where: str) -> Any:
    """The value of an option written as text, as on a command line ("3", "64,32", "generator=1e-4")."""
    if option.optional and text.lower() == "none":
        return None
    if option.per_player and "=" in text:
        pairs = [part.partition("=") for part in text.split(",")]
        return option.check({player.strip(): _number(option, v) for player, _, v in pairs}, where)
    if option.many:
        return option.check(tuple(_number(option, part.strip()) for part in text.split(",")), where)
    return option.check(_number(option, text), where)


def _number(option: Option, text: str) -> Any:
    """`text` as the option's type where it reads as one; else as it is, for `check` to refuse."""
    if option.type is bool:
        return {"true": True, "yes": True, "false": False, "no": False}.get(text.lower(), text)
    if option.type in (int, float) and not option.choices:
        try:
            return option.type(text)
        except ValueError:
            return text
    return text


def _read_type(hint: Any) -> dict[str, Any] | None:
    """How an annotation reads as an option, or None where it is not plain."""
    read: dict[str, Any] = {}
    if get_origin(hint) is Annotated:
        hint, *notes = get_args(hint)
        read["range"] = next((note for note in notes if isinstance(note, Range)), EVERYTHING)
    if hint == PerPlayer:
        return {**read, "type": float, "per_player": True}
    if get_origin(hint) in (Union, types.UnionType):
        members = [member for member in get_args(hint) if member is not type(None)]
        words = next((get_args(member) for member in members if get_origin(member) is Literal), ())
        if words and len(members) == 2:
            inner = _read_type(next(member for member in members if get_origin(member) is not Literal))
            return None if inner is None else {**inner, **read, "words": words}
        if str in members:  # a path or a name, beside what only Python can pass
            members = [str]
        # Of "one or several", several takes one too: 32, or (32, 48).
        members = [member for member in members if get_origin(member) is tuple] or members
        if len(members) != 1:
            return None
        inner = _read_type(members[0])
        return None if inner is None else {**inner, **read, "optional": True}
    if get_origin(hint) is Literal:
        return {**read, "type": str, "choices": get_args(hint)}
    if get_origin(hint) is tuple:
        first, *others = get_args(hint)
        inner = _read_type(first)
        count = None if others == [...] else 1 + len(others)
        return None if inner is None else {**inner, **read, "many": True, "count": count}
    return {**read, "type": hint} if hint in PLAIN else None
