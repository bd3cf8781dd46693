"""`lookalike`, or `python -m lookalike`: the command line, and nothing of it before it is asked for."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any


def main() -> None:
    # Until a task begins there is nothing to save, and a library may swallow what is raised while it is imported.
    _when_stopped(lambda *_: os._exit(130))
    from .cli import run

    sys.exit(run(sys.argv[1:], began=lambda: _when_stopped(signal.default_int_handler)))


def _when_stopped(do: Callable[..., Any]) -> None:
    """What Ctrl-C does, and being told to end, which is the same; unless it is to be ignored, as in the background."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, do)


if __name__ == "__main__":
    main()
