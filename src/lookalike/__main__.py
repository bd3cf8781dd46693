"""`lookalike`, or `python -m lookalike`: the command line, and nothing of it before it is asked for."""

from __future__ import annotations

import signal
import sys


def main() -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # to be told to stop is the same as Ctrl-C
    try:
        from .cli import run

        sys.exit(run(sys.argv[1:]))
    except KeyboardInterrupt:  # before there was anything to stop
        sys.exit(130)


if __name__ == "__main__":
    main()
