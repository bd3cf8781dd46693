"""A live line on stderr: step, rate, time left, and the figures that matter."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Mapping

from ..header import QUIET


class Line:
    """Rewritten in place on a terminal; elsewhere a plain line every `EVERY` seconds."""

    EVERY = 15.0

    def __init__(self, what: str, shown: bool = True) -> None:
        self.what = what
        self.shown = shown
        self.live = sys.stderr.isatty()
        self.last = time.monotonic()  # nothing is to be told of the first step: it is no measure of the others

    @property
    def due(self) -> bool:
        """Whether a new line is wanted: figures need not be read off the device more often."""
        return self.shown and time.monotonic() - self.last > (0.3 if self.live else self.EVERY)

    def show(self, done: int, total: int | None, left: float, rate: float, figures: Mapping[str, float]) -> None:
        """Say how far it is.

        Arguments:
            total: steps in all, or None where the clock decides.
            left: seconds left. rate: steps in a second.
        """
        self.last = time.monotonic()
        of = f"/{total}" if total else ""
        told = [f"{name} {value:.4g}" for name, value in figures.items() if not name.startswith(QUIET)]
        words = f"{self.what}  step {done}{of}  {rate:.3g}/s  {duration(left)} left  " + "  ".join(told)
        tell(f"\r{words[: shutil.get_terminal_size().columns - 1]}\x1b[K" if self.live else f"{words}\n")

    def say(self, words: str) -> None:
        """A sentence of its own, above the line."""
        if self.shown:
            tell(("\r\x1b[K" if self.live else "") + words + "\n")

    def close(self) -> None:
        if self.live and self.shown:
            tell("\n")


def tell(words: str) -> None:
    """Words on stderr, at once; to nowhere once nobody reads them any more, as after `2>&1 | head`."""
    try:
        sys.stderr.write(words)
        sys.stderr.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def duration(seconds: float) -> str:
    """ "7 s", "3 min 05 s", "2 h 10 min"."""
    s = round(seconds)
    if s < 60:
        return f"{s} s"
    return f"{s // 60} min {s % 60:02d} s" if s < 3600 else f"{s // 3600} h {s % 3600 // 60:02d} min"
