"""Engines that are really built, by TensorRT-RTX, which needs no GPU for it."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from detrt.contract import ModelContract
from detrt.engine.builder import build_engine
from detrt.engine.options import BuildOptions
from detrt.graph.onnx_file import save, with_contract

CONTRACT = ModelContract(
    input_size=(8, 8), class_names=("cat", "dog"), family="test", output_form="raw", sizes_name=None
)


@pytest.fixture(scope="session", autouse=True)
def rtx() -> None:
    """Skip where TensorRT-RTX is not installed."""
    pytest.importorskip("tensorrt_rtx")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that builds in no time: batch dynamic, one convolution, logits and boxes; it carries a contract."""
    path = tmp_path_factory.mktemp("tiny") / "tiny.onnx"
    save(with_contract(tiny_model(), CONTRACT), path)
    return path


@pytest.fixture(scope="session")
def tiny_engine(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model as an engine, FP32, batch 1 to 4."""
    return build_engine(tiny, tmp_path_factory.mktemp("engine") / "tiny.engine", BuildOptions(precision="fp32")).engine


def tiny_model(operator: str = "Relu") -> onnx.ModelProto:
    """images (N, 3, 8, 8) -> logits (N, 5, 2), boxes (N, 5, 4)."""
    weight = helper.make_tensor("w", TensorProto.FLOAT, [30, 3, 8, 8], [0.01] * (30 * 3 * 8 * 8))
    shape = helper.make_tensor("shape", TensorProto.INT64, [3], [-1, 5, 6])
    split = helper.make_tensor("split", TensorProto.INT64, [2], [2, 4])
    nodes = [
        helper.make_node("Conv", ["images", "w"], ["c"], name="stem"),
        helper.make_node(operator, ["c"], ["r"], name="activation"),
        helper.make_node("Reshape", ["r", "shape"], ["rows"], name="rows"),
        helper.make_node("Split", ["rows", "split"], ["logits", "boxes"], axis=2, name="heads"),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["N", 3, 8, 8])],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 5, 2]),
            helper.make_tensor_value_info("boxes", TensorProto.FLOAT, ["N", 5, 4]),
        ],
        [weight, shape, split],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
