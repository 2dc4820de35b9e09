from __future__ import annotations

import pytest

from detrt.benchmark.timings import Round, Subject, Timings, ratio, timings_from

ONE = Subject("m.onnx", "a runtime", "fp32", "cpu", "engine", batch=4)


def test_percentiles_of_all_runs_and_medians_of_rounds() -> None:
    values = [float(value) for value in range(1, 102)]
    found = timings_from(ONE, [Round(tuple(values[:50]), 0), Round(tuple(values[50:]), 0)])
    assert (found.runs, found.minimum, found.p50, found.p90, found.p99) == (101, 1, 51, 91, 100)
    assert found.mean == pytest.approx(51)
    assert found.spread == pytest.approx(50 / 51)
    assert found.rounds == (25.5, 76)


def test_throughput_of_one_stream_leaves_out_what_lies_between_runs() -> None:
    found = timings_from(ONE, [Round((10.0, 10.0), wall=50.0)])
    assert found.images_per_second == pytest.approx(400)


def test_throughput_of_several_streams_is_by_the_wall() -> None:
    subject = Subject("m.onnx", "a runtime", "fp32", "cuda:0", "engine", batch=4, streams=2)
    found = timings_from(subject, [Round((10.0, 10.0), wall=10.0)])
    assert found.images_per_second == pytest.approx(800)


def test_clocks_are_the_lowest_and_the_highest() -> None:
    assert timings_from(ONE, [Round((1.0,), 1.0)], clocks=[1500, 1980, 1700]).clocks_mhz == (1500, 1980)
    assert timings_from(ONE, [Round((1.0,), 1.0)]).clocks_mhz is None


def test_ratio_pairs_rounds_so_that_drift_cancels() -> None:
    """Clocks fall to a half over the run; one subject takes twice the time of the other throughout."""
    slow, fast = _drifting(2.0), _drifting(1.0)
    assert ratio(slow, fast) == pytest.approx((2, 2, 2))
    assert ratio(fast, slow) == pytest.approx((0.5, 0.5, 0.5))


def test_ratio_is_for_an_image() -> None:
    eight = Subject("m.onnx", "a runtime", "fp32", "cpu", "engine", batch=8)
    row = timings_from(eight, [Round((4.0,), 4.0)])
    assert ratio(row, timings_from(ONE, [Round((2.0,), 2.0)]))[0] == pytest.approx(1)


def test_ratio_of_rows_that_were_interrupted_uses_the_rounds_that_both_have() -> None:
    short = timings_from(ONE, [Round((3.0,), 3.0)])
    assert ratio(short, _drifting(1.0))[0] == pytest.approx(3)


@pytest.mark.parametrize(
    ("subject", "text"),
    [
        (ONE, "m.onnx, a runtime: engine, batch 4"),
        (
            Subject("m.engine", "TensorRT", "fp16", "cuda:0", "infer", graph=True, streams=2),
            "m.engine, TensorRT: infer, batch 1, CUDA graph, 2 streams",
        ),
        (Subject("m", "T", "", "cuda:0", "engine", graph=False), "m, T: engine, batch 1, kernel by kernel"),
    ],
)
def test_subject_says_what_it_is(subject: Subject, text: str) -> None:
    assert str(subject) == text


def _drifting(factor: float) -> Timings:
    return timings_from(ONE, [Round((factor * slowdown,) * 3, 0) for slowdown in (1.0, 1.2, 1.5, 2.0)])
