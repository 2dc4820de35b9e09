"""Run by test_python.py, in a process of its own: a Python plugin in TensorRT's real bindings and a real registry.

    python on_bindings.py FOLDER decorated|aot|v3|v2 [BATCH]

Makes each plugin from its fields by the registry's creator, asks it what TensorRT would ask, and prints JSON. With a
batch, asks `aot` for the kernel and its launch instead. FOLDER holds the fields of each operator.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from detrt.plugins.operation import Fields


def main() -> None:
    folder, interface, *batch = Path(sys.argv[1]), *sys.argv[2:]
    sys.setdlopenflags(os.RTLD_LAZY)
    trt = importlib.import_module("tensorrt_bindings")
    sys.modules["tensorrt"] = trt  # what the plugins import; the package of that name holds the bindings alone

    from detrt.plugins.python import register

    kept = register(interface)  # type: ignore[arg-type]
    registry = trt.get_plugin_registry()
    told = {}
    for name in ("DeformableAttention", "MultiHeadOffsets"):
        with np.load(folder / f"{name}.npz") as archive:
            fields = dict(archive)
        if batch:
            told[name] = launched(trt, name, fields, int(batch[0]))
        else:
            told[name] = answers(trt, registry.get_creator(name, "1", "detrt"), interface, name, fields)
    del kept
    print(json.dumps(told))


def answers(trt: Any, creator: Any, interface: str, name: str, fields: Fields) -> dict[str, Any]:
    from detrt.plugins.tensorrt_types import collection_of

    given = collection_of(trt, fields)
    inputs = [trt.DataType.HALF, *[trt.DataType.FLOAT] * 3] if name == "DeformableAttention" else [trt.DataType.INT8]
    if interface == "v2":
        plugin = creator.create_plugin(name, given)
        again = creator.deserialize_plugin(name, plugin.serialize())
        types = [plugin.get_output_datatype(index, inputs) for index in range(plugin.num_outputs)]
        tensors = [described(trt, kind) for kind in (*inputs, *types)]
        takes = [plugin.supports_format_combination(i, tensors, len(inputs)) for i in range(len(tensors))]
        kept = again.operation.fields
    elif interface == "v3":
        plugin = creator.create_plugin(name, given, trt.TensorRTPhase.BUILD)
        again = creator.create_plugin(name, plugin.get_fields_to_serialize(), trt.TensorRTPhase.RUNTIME).clone()
        types = plugin.get_output_data_types(inputs)
        tensors = [trt.DynamicPluginTensorDesc() for _ in (*inputs, *types)]
        for tensor, kind in zip(tensors, (*inputs, *types), strict=True):
            tensor.desc = described(trt, kind)
        takes = [plugin.supports_format_combination(i, tensors, len(inputs)) for i in range(len(tensors))]
        kept = {field.name: np.array(field.data) for field in again.get_fields_to_serialize()}
    else:
        request = trt.QuickPluginCreationRequest
        wanted = request.STRICT_AOT if interface == "aot" else request.STRICT_JIT
        plugin = creator.create_plugin(name, "detrt", given, trt.TensorRTPhase.BUILD, wanted)
        types, takes, kept = plugin.get_output_data_types(inputs, [3] * len(inputs)), [], plugin.attrs
    return {
        "types": [kind.name for kind in types],
        "takes": takes,
        "fields": {key: np.atleast_1d(value).tolist() for key, value in kept.items()},
    }


def launched(trt: Any, name: str, fields: Fields, batch: int) -> dict[str, Any]:
    """What `aot_impl` gives at a batch; TensorRT's symbols stand for their numbers."""
    from detrt.plugins import decorated_aot

    trtp = importlib.import_module("tensorrt.plugin")
    trt.IDimensionExpr = Number
    importlib.import_module("tensorrt.plugin._tensor").SymIntExpr._exprBuilder = Numbers
    vars(decorated_aot)["current_gpu"] = lambda: SimpleNamespace(capability="7.5")
    half, single, codes = trt.DataType.HALF, trt.DataType.FLOAT, trt.DataType.INT8
    if name == "DeformableAttention":
        heads, total = int(fields["heads"][0]), int(fields["points"].sum())
        cells = int(fields["shapes"].reshape(-1, 2).prod(1).sum())
        shapes = [(cells, 4 * heads), (7, 4), (7, 2 * heads * total), (7, heads * total)]
        inputs = [tensor(trtp, kind, batch, shape) for kind, shape in zip([half, *[single] * 3], shapes, strict=True)]
        values: dict[str, Any] = {"shapes": fields["shapes"], "points": fields["points"]}
        values |= {key: fields[key][0].item() for key in ("heads", "offset_scale", "discrete")}
        embed: Any = decorated_aot.embed_attention
        outputs = [tensor(trtp, half, batch, (7, 4 * heads))]
    else:
        inputs, values = [tensor(trtp, codes, batch, (7, 32))], dict(fields)
        embed, outputs = decorated_aot.embed_offsets, [tensor(trtp, single, batch, (7, 10))] * 2
    function, _, launch, numbers = embed(*inputs, **values, outputs=outputs, tactic=0)
    axes = (launch.grid_x, launch.grid_y, launch.grid_z)
    return {
        "function": function,
        "grid": [axis._expr.value for axis in axes],
        "numbers": [number._expr.value for number in numbers],
    }


class Number:
    """A `trt.IDimensionExpr` whose value is known."""

    def __init__(self, value: int) -> None:
        self.value = value

    def is_constant(self) -> bool:
        return True

    def get_constant_value(self) -> int:
        return self.value


class Numbers:
    """A `trt.IExprBuilder` of them."""

    @staticmethod
    def constant(value: int) -> Number:
        return Number(value)

    @staticmethod
    def operation(what: Any, first: Number, second: Number) -> Number:
        does = {"PROD": first.value * second.value, "CEIL_DIV": -(-first.value // second.value)}
        return Number(does[what.name])


def tensor(trtp: Any, kind: Any, batch: int, shape: tuple[int, ...]) -> Any:
    sizes = (batch, *shape)
    made = trtp.from_shape_expr(sizes, dtype=kind)
    made.shape = trtp.Shape(sizes)
    return made


def described(trt: Any, kind: Any) -> Any:
    description = trt.PluginTensorDesc()
    description.type, description.format = kind, trt.TensorFormat.LINEAR
    return description


if __name__ == "__main__":
    main()
