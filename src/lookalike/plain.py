"""Values read from a file, against the type they are said to have.

A saved run is text that anyone may have edited, so what is read of it is checked whole before any of it is
used: the declaration of a dataclass or a `TypedDict` is the check.

    >>> conform({"levels": "many"}, dict[str, int], "run.json")
    Traceback (most recent call last):
    lookalike.errors.UserError: run.json: levels must be a whole number, but is 'many'.
"""

from __future__ import annotations

import dataclasses
import math
import types
from collections.abc import Mapping
from typing import Any, Literal, NotRequired, Union, get_args, get_origin, get_type_hints, is_typeddict

from .errors import UserError

WORDS: dict[Any, str] = {
    int: "a whole number", float: "a finite number", str: "text", bool: "true or false", dict: "an object",
    list: "a list", types.NoneType: "nothing",
}  # fmt: skip


def conform(value: Any, hint: Any, where: str = "", name: str = "") -> None:
    """Nothing, if a value as JSON gives it is of a type; lists stand for tuples, objects for dataclasses.

    What has a default in a dataclass may be absent: the file may be older than it.

    Arguments:
        hint: a plain type, a `Literal`, a union, a tuple, list or mapping of such, a dataclass or a `TypedDict`.
        where: the file, in the words of an error.
        name: of the value in it.

    Raises:
        UserError: it is of another type, or an entry is missing or unknown to a dataclass.
    """
    said = f"{': '.join(filter(None, [where, name])) or 'it'} must be"
    origin, of = get_origin(hint), get_args(hint)
    if origin is Literal:
        if value not in of:
            raise UserError(f"{said} {' or '.join(map(str, of))}, but is {_shown(value)}.")
    elif origin in (Union, types.UnionType):
        if not any(_fits(value, one, where, name) for one in of):
            raise UserError(f"{said} {' or '.join(map(_words, of))}, but is {_shown(value)}.")
    elif not _is(value, hint):
        raise UserError(f"{said} {_words(hint)}, but is {_shown(value)}.")
    elif _plain(hint) is list:
        items = [of[0]] * len(value) if origin is list or of[1:] == (...,) else of
        if len(items) != len(value):
            raise UserError(f"{said} {len(items)} values, but is {_shown(value)}.")
        for i, (item, one) in enumerate(zip(value, items, strict=True)):
            conform(item, one, where, f"{name}[{i}]")
    elif is_typeddict(hint) or dataclasses.is_dataclass(hint):
        _conform_entries(value, hint, where, name)
    elif isinstance(value, dict):
        for key, item in value.items():
            conform(item, of[1] if of else Any, where, _inside(name, key))


def _conform_entries(value: dict[str, Any], hint: Any, where: str, name: str) -> None:
    entries = get_type_hints(hint, include_extras=True)
    fields = dataclasses.fields(hint) if dataclasses.is_dataclass(hint) else ()
    later = {f.name for f in fields if f.default is not dataclasses.MISSING}
    for key, one in entries.items():
        optional = get_origin(one) is NotRequired
        if key in value:
            conform(value[key], get_args(one)[0] if optional else one, where, _inside(name, key))
        elif not optional and key not in later:
            raise UserError(f"{where or 'it'} lacks {_inside(name, key)}.")
    for key in value:
        if key not in entries and dataclasses.is_dataclass(hint):
            raise UserError(f"{where or 'it'} has {_inside(name, key)}, which is not known here.")


def _inside(name: str, key: str) -> str:
    return f"{name}.{key}" if name else key


def _fits(value: Any, hint: Any, where: str, name: str) -> bool:
    try:
        conform(value, hint, where, name)
    except UserError:
        return False
    return True


def _is(value: Any, hint: Any) -> bool:
    """Whether a value is of a type, what is inside of it aside."""
    plain = _plain(hint)
    if plain is Any:
        return True
    if plain is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if plain is list:
        return isinstance(value, list | tuple)
    return isinstance(value, plain) and (plain is bool or not isinstance(value, bool))


def _plain(hint: Any) -> Any:
    """The type JSON has for a type."""
    origin = get_origin(hint) or hint
    if origin in (tuple, list):
        return list
    if (
        is_typeddict(hint)
        or dataclasses.is_dataclass(hint)
        or (isinstance(origin, type) and issubclass(origin, Mapping))
    ):
        return dict
    return origin


def _words(hint: Any) -> str:
    return WORDS.get(_plain(hint), str(hint))


def _shown(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) < 60 else f"{shown[:57]}..."
