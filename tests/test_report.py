"""A report prints numbers to what is known of them, and says a reason once."""

from __future__ import annotations

import pytest

from lookalike.report import Metric, Report


@pytest.mark.parametrize(
    ("value", "error", "printed"),
    [
        (0.024941, 0.0007047, "0.02494 ± 0.00070"),
        (9.996, 0.0999, "10.00 ± 0.10"),
        (2731.4, 362.0, "2730 ± 360"),
        (-3.2, 12_000.0, "0 ± 12000"),
        (1.0, 0.0, "1 ± 0"),
        (3.2e-14, 6.4e-15, "3.200e-14 ± 6.4e-15"),
        (1.23456, None, "1.235"),
        (float("inf"), None, "inf"),
    ],
)
def test_a_value_is_rounded_to_two_digits_of_its_standard_error(
    value: float, error: float | None, printed: str
) -> None:
    assert str(Metric(value, "exact", "nats", {}, error)) == f"{printed} nats"


def test_what_was_skipped_for_one_reason_is_one_line() -> None:
    why = "for images, and this data is points"
    report = Report("", metrics={}, skipped={"psnr": why, "mse": "no encoder", "ssim": why})
    assert str(report).splitlines() == [f"  skipped psnr, ssim: {why}", "  skipped mse: no encoder"]
    assert report.json()["skipped"]["ssim"] == why
