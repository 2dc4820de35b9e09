"""What a live profile makes of what TensorRT's profiler reports. The engines themselves run in tests/gpu."""

from __future__ import annotations

from pathlib import Path

from detrt.profile.live import _Recorded, _save
from detrt.profile.load import profile_from_files
from tests.profile.conftest import small_engine


def test_layers_of_one_name_keep_their_own_times() -> None:
    recorded = _Recorded()
    for run in range(3):
        for name, milliseconds in (("a", 0.001), ("copy", 0.002), ("b", 0.003), ("copy", 0.004)):
            recorded.add(name, milliseconds * (1 + run))
    assert [(name, round(time.mean, 6), round(time.median, 6)) for name, time in recorded.times()] == [
        ("a", 2.0, 2.0), ("copy", 4.0, 4.0), ("b", 6.0, 6.0), ("copy", 8.0, 8.0),
    ]  # fmt: skip


def test_the_warm_up_is_forgotten() -> None:
    recorded = _Recorded()
    recorded.add("a", 9.0)
    recorded.clear()
    recorded.add("a", 1.0)
    assert [time.mean for _, time in recorded.times()] == [1000.0]


def test_what_is_saved_is_read_again(tmp_path: Path) -> None:
    recorded = _Recorded()
    for name in ("conv", "gemm", "topk"):
        recorded.add(name, 0.002)
    _save(tmp_path, small_engine(), recorded.times(), [0.004, 0.005, 0.009], 3, "Some GPU")
    profile = profile_from_files(tmp_path)
    assert profile.mean == (0.0, 2.0, 0.0, 2.0, 2.0)
    assert profile.device == "Some GPU"
    assert profile.latency is not None
    assert profile.latency.median == 0.005
