"""What docs/estimators.md shows runs, from top to bottom."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parent.parent.parent / "docs" / "estimators.md"


@pytest.mark.slow
def test_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for block in re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), flags=re.S | re.M):
        exec(compile(block, PAGE.name, "exec"), names)
    assert names["new"].shape == (5, 6)
    assert (names["labels"] == -1).mean() == pytest.approx(0.1, abs=0.01)
    assert set(names["drawn"]["kind"]) == {"benign", "malignant"}
    assert names["drawn"]["texture"].isna().any()
