"""A report prints numbers to what is known of them, and says a reason once."""

from __future__ import annotations

import pytest

from lookalike.report import Metric, Report, comparable, differences


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


def test_the_protocol_is_printed_with_every_value() -> None:
    a = Metric(1.5, "estimate", "", {"data": "ab12", "samples": 100, "splits": 10}, 0.1)
    b = Metric(2.5, "exact", "nats", {"data": "ab12", "samples": 50})
    lines = str(Report("r", metrics={"a": a, "b": b})).splitlines()
    assert [line.split() for line in lines[1:]] == [
        ["a", "1.50", "±", "0.10", "(estimate)", "samples", "100,", "splits", "10"],
        ["b", "2.5", "nats", "samples", "50"],
        ["all:", "data", "ab12"],
    ]
    assert "data ab12, samples 100, splits 10" in str(Report("", metrics={"a": a}))


def test_figures_are_ranked_only_where_they_were_come_by_alike() -> None:
    protocol = {"data": "ab12", "split": "test", "binarisation": "dynamic", "binarisation seed": 0}
    a = Metric(80.0, "lower bound", "nats", protocol, 0.1)
    other_draw = Metric(79.9, "lower bound", "nats", {**protocol, "binarisation seed": 1}, 0.1)
    static = Metric(79.0, "lower bound", "nats", {**protocol, "binarisation": "static"}, 0.1)
    assert comparable(a, other_draw)
    assert not comparable(a, static)
    assert differences(a, static) == {"binarisation": ("dynamic", "static")}
    assert differences(a, Metric(1.0, "exact", "nats", {"data": "ab12"}))["split"] == ("test", None)
