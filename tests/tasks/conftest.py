"""What the tests of tasks share."""

from __future__ import annotations

from pathlib import Path

import pytest

import lookalike


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run of a recipe on data, trained for one step, made when first asked for."""
    folder = tmp_path_factory.mktemp("runs")

    def run(recipe: str, data: str, **options) -> str:
        path = folder / f"{recipe}-{Path(data).stem}-{len(options)}"
        if not path.exists():
            lookalike.train(recipe, data, out=path, steps=1, warmup=0, device="cpu", **options)
        return str(path)

    return run
