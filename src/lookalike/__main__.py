"""`lookalike`, or `python -m lookalike`: the command line, and nothing of it before it is asked for."""

from __future__ import annotations

import sys


def main() -> None:
    from .cli import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
