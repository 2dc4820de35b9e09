"""The plugins in Python: in TensorRT's real bindings, and what they launch, as far as a machine without a GPU goes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from tools.list_tensorrt_api import installed_bindings, lend_libraries

from detrt.errors import ModelError, UsageError
from detrt.kernels.launch import Element
from detrt.kernels.offset_projection import ROWS
from detrt.plugins.attention import AttentionOperation
from detrt.plugins.embedded import FUNCTION, embedded_attention, embedded_offsets
from detrt.plugins.offsets import OffsetsOperation
from detrt.plugins.operation import Operation
from detrt.plugins.python import Interface, register
from tests.plugins.nodes import attention_node, offsets_node

NODES = {"DeformableAttention": attention_node(), "MultiHeadOffsets": offsets_node()}
PROGRAM = Path(__file__).with_name("on_bindings.py")


@pytest.fixture(scope="module")
def bindings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """TensorRT 11's bindings with TensorRT-RTX's libraries, and the plugins' fields."""
    pytest.importorskip("tensorrt_rtx_libs", reason="the bindings borrow its libraries")
    folder = tmp_path_factory.mktemp("bindings")
    lend_libraries(installed_bindings("tensorrt_bindings"), folder)
    for name, node in NODES.items():
        np.savez(folder / f"{name}.npz", **node.fields)  # type: ignore[arg-type]
    return folder


@pytest.mark.parametrize("interface", get_args(Interface))
def test_tensorrts_registry_makes_the_plugins_and_gets_its_answers(bindings: Path, interface: str) -> None:
    told = on_bindings(bindings, interface)
    attention, offsets = told["DeformableAttention"], told["MultiHeadOffsets"]
    assert attention["types"] == ["HALF"]
    assert offsets["types"] == ["FLOAT", "FLOAT"]
    assert all(attention["takes"] + offsets["takes"])
    for name, node in NODES.items():
        assert told[name]["fields"] == {key: np.ravel(value).tolist() for key, value in node.fields.items()}


def test_an_unknown_interface_is_refused() -> None:
    with pytest.raises(UsageError, match="'v4' is no plugin interface"):
        register("v4")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        (AttentionOperation, "heads", None),
        (AttentionOperation, "shapes", [4, 5, 2]),
        (AttentionOperation, "points", [3, -1]),
        (OffsetsOperation, "input_scale", [0.0]),
        (OffsetsOperation, "input_offset", [3]),
        (OffsetsOperation, "sp_weight_scale", [1.0]),
        (OffsetsOperation, "sp_weight_offset", [1] * 20),
        (OffsetsOperation, "attn_fp32_bias", []),
    ],
)
def test_fields_that_do_not_fit_are_refused(kind: type[Operation], field: str, value: list[float] | None) -> None:
    fields = dict(NODES[kind.name].fields)
    fields.pop(field)
    if value is not None:
        fields[field] = np.array(value, kind.field_types[field])
    with pytest.raises(ModelError):
        kind.from_fields(fields)


def test_shapes_that_do_not_go_together_are_refused() -> None:
    operation = AttentionOperation.from_fields(NODES["DeformableAttention"].fields)
    shapes = [value.shape for value in NODES["DeformableAttention"].feeds.values()]
    operation.problem(shapes, Element.float32, Element.float32)
    for place in range(4):
        wrong = [(*shape[:-1], shape[-1] + 1) if number == place else shape for number, shape in enumerate(shapes)]
        with pytest.raises(ModelError, match="must go together"):
            operation.problem(wrong, Element.float32, Element.float32)


def test_types_are_those_of_the_kernels() -> None:
    f32, f16, bf16, i8 = Element.float32, Element.float16, Element.bfloat16, Element.int8
    attention = AttentionOperation.from_fields(NODES["DeformableAttention"].fields)
    offsets = OffsetsOperation.from_fields(NODES["MultiHeadOffsets"].fields)
    right = [(attention, [f16, f32, f32, f32, f16]), (attention, [bf16] * 5), (offsets, [i8, f16, f16])]
    for operation, elements in right:
        assert all(operation.takes(elements[: count + 1]) for count in range(len(elements)))
    wrong = [(attention, [i8]), (attention, [f16, bf16]), (attention, [f16, f32, f16]), (attention, [f16] * 4 + [f32])]
    for operation, elements in [*wrong, (offsets, [i8, i8]), (offsets, [f16, bf16]), (offsets, [i8, f32, f16])]:
        assert not operation.takes(elements)


def test_weights_lie_where_the_kernel_is_told() -> None:
    operation = OffsetsOperation.from_fields(NODES["MultiHeadOffsets"].fields)
    packed = operation.packed()
    for layer, places in zip(operation.layers, operation.places(0), strict=True):
        for array, place in zip(layer.arrays, places, strict=True):
            assert place % 16 == 0
            assert packed[place : place + array.nbytes].tobytes() == array.tobytes()


def test_kernels_for_an_engine_compile_with_their_sizes_and_weights_inside() -> None:
    pytest.importorskip("cuda.bindings.nvrtc")
    attention = AttentionOperation.from_fields(NODES["DeformableAttention"].fields)
    offsets = OffsetsOperation.from_fields(NODES["MultiHeadOffsets"].fields)
    for made, parameters in [
        (embedded_attention(attention, 8, 4, Element.float16, Element.float32, "7.5"), 7),
        (embedded_offsets(offsets, Element.int8, Element.float32, "7.5"), 4),
    ]:
        text = made.ptx.decode()
        assert text.count(".entry") == 1
        signature = text[text.index(f".entry {FUNCTION}(") :].partition(")")[0]
        assert signature.count(".param") == parameters


@pytest.mark.parametrize("batch", [1, 5])
def test_engines_own_kernels_get_their_grid_from_the_shapes(bindings: Path, batch: int) -> None:
    """Threads for every lane of every query's heads, and blocks of rows by slices of columns."""
    told = on_bindings(bindings, "aot", str(batch))
    attention, offsets = NODES["DeformableAttention"].feeds, NODES["MultiHeadOffsets"].feeds
    queries, rows = attention["references"].shape[1], offsets["codes"].shape[1] * batch
    lanes = 2 * 4  # two heads of 4 channels of FP16, which are read one by one: 4 rows of 4 lanes each
    assert told["DeformableAttention"]["grid"] == [-(-batch * queries * lanes * 4 // 128), 1, 1]
    assert told["DeformableAttention"]["numbers"] == [batch, queries]
    assert told["MultiHeadOffsets"]["grid"] == [-(-rows // ROWS), 2, 1]
    assert told["MultiHeadOffsets"]["numbers"] == [rows]
    assert all(answer["function"] == FUNCTION for answer in told.values())


def on_bindings(folder: Path, *arguments: str) -> dict[str, Any]:
    source = Path(__file__).parents[2] / "src"
    environment = os.environ | {"LD_LIBRARY_PATH": str(folder), "PYTHONPATH": f"{folder}{os.pathsep}{source}"}
    done = subprocess.run(
        [sys.executable, str(PROGRAM), str(folder), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told
