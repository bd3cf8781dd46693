"""The user's mistakes, said in one clear sentence: what is wrong, where, and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """A mistake of the user's, never of ours: the command line prints it and exits with 2."""


def nearest(word: str, known: Iterable[str]) -> str:
    """``" Did you mean 'realnvp'?"`` for the known word most like `word`, or an empty string."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" Did you mean {close[0]!r}?" if close else ""


def missing_extra(package: str, extra: str, what: str) -> UserError:
    """The sentence for an optional package that is not installed."""
    return UserError(f"{what} needs the package {package!r}: pip install 'lookalike[{extra}]'.")
