"""The three real engines of the origin, and a small one as TensorRT 11 describes it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from detrt.profile.load import profile_from_files
from detrt.profile.profile import EngineProfile

ENGINES = ("trt10.7_int8_best", "trt10.9_int8_fp32", "trt10.9_int8_fp16")


@pytest.fixture
def engine(shared: Path) -> Callable[[str], EngineProfile]:
    """`engine("trt10.7_int8_best")` reads its stored profile."""
    return lambda name: profile_from_files(shared / "trt_profiles" / name)


def tensor11(name: str, dtype: str, *shape: int) -> dict[str, Any]:
    """A tensor as TensorRT 11's inspector writes it."""
    return {"Name": name, "Dimensions": list(shape), "Format": "Row major linear", "Datatype": dtype}


def layer11(name: str, kind: str, reads: list[Any], writes: list[Any], *onnx: str, stream: int = 0) -> dict[str, Any]:
    """A layer of TensorRT 11."""
    return {
        "Name": name,
        "LayerType": kind,
        "Inputs": reads,
        "Outputs": writes,
        "StreamId": stream,
        "TacticName": "sm90_xmma_gemm_f32f32_tf32f32_f32" if kind == "gemm" else "",
        "Metadata": "\x1e".join(f"[ONNX Layer: {source}]" for source in onnx),
    }


def small_engine() -> dict[str, Any]:
    """Five layers; the name `t` is written twice, as builders do."""
    image = tensor11("images", "Float", 1, 3, 8, 8)
    first, second = tensor11("t", "Half", 1, 8, 4, 4), tensor11("t", "Half", 1, 16)
    return {
        "Layers": [
            layer11("Reformatting CopyNode for Input Tensor 0 to /model/backbone/Conv", "Reformat", [image], [first]),
            layer11("conv", "CaskConvolution", [first], [tensor11("c", "Half", 1, 8)], "/model/backbone/stem/Conv"),
            layer11("wait7", "wait", [], [], stream=1),
            layer11(
                "gemm", "gemm", [tensor11("c", "Float", 1, 8)], [second],
                "/model/decoder/decoder/layers.1/cross_attn/value_proj/MatMul", stream=1,
            ),
            layer11("topk", "kgen", [second], [tensor11("scores", "Float", 1, 4)], "/postprocessor/TopK"),
        ],
        "I/O Tensors": [{"Name": "images", "IOMode": "Input"}, {"Name": "scores", "IOMode": "Output"}],
    }  # fmt: skip


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A folder with the layers and times of a small engine, under names of their own."""
    folder = tmp_path / "small"
    folder.mkdir()
    content = small_engine()
    times: list[dict[str, Any]] = [{"count": 50}]
    times += [
        {"name": layer["Name"], "averageMs": 0.001 * (number + 1), "medianMs": 0.001, "percentage": 0.0}
        for number, layer in enumerate(content["Layers"])
        if layer["LayerType"] != "wait"  # live profilers leave these out
    ]
    (folder / "anything.json").write_text(json.dumps(content))
    (folder / "by_layer.json").write_text(json.dumps(times))
    (folder / "runs.json").write_text(json.dumps([{"computeMs": value} for value in (0.004, 0.006, 0.005)]))
    return folder
