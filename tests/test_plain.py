"""Values of a file against the type they are said to have."""

from __future__ import annotations

import json
from typing import Any, Literal, NotRequired, TypedDict

import pytest

from lookalike.errors import UserError
from lookalike.plain import conform
from lookalike.spec import Column, Spec


class Entry(TypedDict):
    name: str
    sizes: NotRequired[list[int]]


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (3, float),
        (None, int | None),
        ([1, 2], tuple[int, int]),
        ([], tuple[int, ...]),
        ((1, "x"), tuple[int, str]),
        ({"name": "a", "more": 1}, Entry),
        ({"a": [1]}, dict[str, list[int]]),
        ([object()], Any),
        (json.loads(json.dumps(Spec("points", (1,), columns=(Column("a"),)).to_json())), Spec),
    ],
)
def test_what_conforms(value: Any, hint: Any) -> None:
    conform(value, hint)


@pytest.mark.parametrize(
    ("value", "hint", "says"),
    [
        (True, int, "f: x must be a whole number, but is True"),
        (1, bool, "must be true or false"),
        (float("inf"), float, "must be a finite number"),
        ("1", int | None, "must be a whole number or nothing, but is '1'"),
        ([1], tuple[int, int], "must be 2 values"),
        ([1, "a"], tuple[int, ...], r"x\[1\] must be a whole number"),
        ("ab", list[str], "must be a list"),
        ("c", Literal["a", "b"], "must be a or b, but is 'c'"),
        ([], Literal["a", "b"], r"must be a or b, but is \[\]"),
        ({}, Entry, "f lacks x.name"),
        ({"name": "a", "sizes": ["b"]}, Entry, r"x.sizes\[0\] must be a whole number"),
        ({"categories": [], "code": 1}, Column, "f lacks x.name"),
        ({"a": {"b": "c"}}, dict[str, dict[str, int]], "x.a.b must be a whole number"),
    ],
)
def test_what_does_not_is_named_with_its_place(value: Any, hint: Any, says: str) -> None:
    with pytest.raises(UserError, match=says):
        conform(value, hint, "f", "x")
