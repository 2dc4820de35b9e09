"""Reading the JSON of TensorRT 10 and 11, whole, damaged and mixed up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from detrt.errors import EngineError
from detrt.profile.inspector_json import dtype_of, layers_from_json
from detrt.profile.layers import links
from detrt.profile.load import profile_from_files
from tests.profile.conftest import small_engine


def test_tensorrt_11(small: Path) -> None:
    profile = profile_from_files(small)
    assert [layer.precision for layer in profile.layers] == ["FP32", "FP16", "", "TF32", "FP16"]
    assert profile.groups == ("backbone", "backbone", "other", "value projection", "postprocess")
    assert profile.mean == (1.0, 2.0, 0.0, 4.0, 5.0)
    assert profile.latency is not None
    assert (profile.latency.median, profile.latency.least, profile.latency.most) == (0.005, 0.004, 0.006)
    assert (profile.reformats.layers, profile.quantizers.layers) == (1, 0)


def test_a_tensor_is_what_was_written_last_under_its_name() -> None:
    assert links(layers_from_json(small_engine())) == [(0, 1), (1, 3), (3, 4)]


def test_types_of_both_generations() -> None:
    texts = ("Thirty-two wide channel vectorized row major Int8 format", "Row major linear FP32", "Half", "Float",
             "FP8E4M3", "Row major linear BFloat16 format", "Int64")  # fmt: skip
    assert [dtype_of(text) for text in texts] == ["INT8", "FP32", "FP16", "FP32", "FP8", "BF16", "INT64"]


def test_names_alone_are_layers_too(tmp_path: Path) -> None:
    (tmp_path / "graph.json").write_text(json.dumps({"Layers": ["/model/backbone/Conv", "b"], "Bindings": ["images"]}))
    profile = profile_from_files(tmp_path / "graph.json")
    assert profile.groups == ("backbone", "other")
    assert profile.by_precision == []
    assert profile.percent(1.0) == 0.0


def test_errors_name_the_file(small: Path, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="nothing at"):
        profile_from_files(tmp_path / "missing")
    with pytest.raises(EngineError, match="none of 0"):
        profile_from_files(tmp_path / "small" / "..")
    (small / "second.json").write_text(json.dumps(small_engine()))
    with pytest.raises(EngineError, match=r"anything\.json, second\.json"):
        profile_from_files(small)
    (small / "second.json").write_text('{"Layers": [')
    with pytest.raises(EngineError, match=r"second\.json cannot be read"):
        profile_from_files(small)


def test_times_of_another_engine_are_refused(small: Path) -> None:
    (small / "by_layer.json").write_text(json.dumps([{"name": f"other{n}", "averageMs": 1.0} for n in range(4)]))
    with pytest.raises(EngineError, match="4 of 4 layer times"):
        profile_from_files(small)
