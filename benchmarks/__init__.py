"""How fast a training step is, beside what one would pick instead: `python -m benchmarks --help`."""
