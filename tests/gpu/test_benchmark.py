"""The benchmark on a real GPU: every way to run a model, in one run, told apart."""

from __future__ import annotations

from pathlib import Path

from detrt.benchmark.run import benchmark
from detrt.benchmark.subjects import cases_of
from detrt.benchmark.turns import Pace


def test_engines_are_timed_with_and_without_graph_by_streams_and_from_the_host(flexible: Path) -> None:
    cases = cases_of([str(flexible)], batch_sizes=[1, 8], graphs=[True, False], streams=[1, 2])
    cases += cases_of([str(flexible)], protocols=["infer"])
    report = benchmark(cases, pace=Pace(seconds=0.2, warm_up=0.5))
    assert not report.failures
    assert len(report.rows) == 9
    assert {row.subject.device for row in report.rows} == {"cuda:0"}
    assert {row.subject.graph for row in report.rows} == {True, False}
    assert report.machine.facts["gpu"]
    for row in report.rows:
        assert 0 < row.minimum <= row.p50 <= row.p99
        assert row.clocks_mhz is not None


def test_batch_that_the_engine_does_not_take_is_left_out(flexible: Path) -> None:
    report = benchmark(cases_of([str(flexible)], batch_sizes=[8, 16]), pace=Pace(seconds=0.1, warm_up=0.1))
    assert [row.subject.batch for row in report.rows] == [8]
    assert "16" in report.failures[0]
