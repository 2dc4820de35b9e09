"""ONNX files: read with a named error, written whole, with the contract inside."""

from __future__ import annotations

import hashlib
import os
import shlex
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx.checker import ValidationError

from detrt.contract import PREFIX, ModelContract, contract_from_metadata
from detrt.errors import ModelError
from detrt.files import sha256_of, whole
from detrt.models.registry import CHECKPOINTS
from detrt.signature import TensorSpec


def load(path: str | os.PathLike[str]) -> onnx.ModelProto:
    """Read an ONNX file, external data included.

    Raises:
        ModelError: there is no such file, it may not be read, it is a checkpoint, or it is not a whole ONNX file.
    """
    file = Path(path)
    if not file.is_file():
        raise ModelError(f"There is no model at {file}.", "Check the path; `detrt models` lists those known by name.")
    if file.suffix in CHECKPOINTS:
        command = ["detrt", "export", str(file), "-o", f"{file.stem}.onnx"]
        raise ModelError(
            f"{file.name} is a checkpoint: weights without a graph.",
            f"Make an ONNX of it, and give that: {shlex.join(command)}",
        )
    try:
        model = onnx.load(file)
    except OSError as error:
        raise ModelError(
            f"{error.filename or file} cannot be read: {error.strerror or error}.", "Check that it may be read."
        ) from error
    except ValidationError as error:
        raise ModelError(
            f"The weights of {file} cannot be read: {str(error).rstrip('.')}.",
            "They are in files of their own: copy these along with it, beside it.",
        ) from error
    except (DecodeError, ValueError) as error:
        raise ModelError(
            f"{file} ({file.stat().st_size:,} bytes) is not a whole ONNX file: {error}.",
            "Copy or export it again; it may have been cut off on the way.",
        ) from error
    if not model.graph.node:
        raise ModelError(f"{file} holds a graph without any node.", "Export the model again.")
    return model


def sha256_of_model(path: Path) -> str:
    """Hash of a model's file, and, for an ONNX, of the files that hold its weights where they lie beside it."""
    names = sorted(set(_external(path))) if path.suffix == ".onnx" else []
    digests = [sha256_of(path), *(sha256_of(path.parent / name) for name in names)]
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def save(model: onnx.ModelProto, path: str | os.PathLike[str]) -> None:
    """Write the model under its final name only once it is whole."""
    with whole(path) as part:
        part.write_bytes(model.SerializeToString())


def with_contract(model: onnx.ModelProto, contract: ModelContract) -> onnx.ModelProto:
    """A copy of the model that carries `contract` and no other."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    kept = {entry.key: entry.value for entry in copy.metadata_props if not entry.key.startswith(PREFIX)}
    onnx.helper.set_model_props(copy, kept | contract.to_metadata())
    return copy


def contract_from_onnx(model: onnx.ModelProto) -> ModelContract | None:
    """The contract that the model carries; None where it carries none."""
    return contract_from_metadata({entry.key: entry.value for entry in model.metadata_props})


def input_specs(model: onnx.ModelProto) -> tuple[TensorSpec, ...]:
    """The inputs that a caller feeds (initialisers that are also listed as inputs are left out)."""
    fixed = {tensor.name for tensor in model.graph.initializer}
    return tuple(_spec(value) for value in model.graph.input if value.name not in fixed)


def output_specs(model: onnx.ModelProto) -> tuple[TensorSpec, ...]:
    """The outputs, in the graph's order."""
    return tuple(_spec(value) for value in model.graph.output)


def _spec(value: onnx.ValueInfoProto) -> TensorSpec:
    tensor = value.type.tensor_type
    shape = tuple(axis.dim_value if axis.HasField("dim_value") else None for axis in tensor.shape.dim)
    return TensorSpec(value.name, shape, onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type).name)


def _external(path: Path) -> Iterator[str]:
    """Names of the files beside it that hold weights; what is damaged or missing is told by who loads it."""
    try:
        graph = onnx.load(path, load_external_data=False).graph
    except DecodeError:
        return
    constants = (attribute.t for node in graph.node for attribute in node.attribute if attribute.HasField("t"))
    for tensor in chain(graph.initializer, constants):
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            names = (entry.value for entry in tensor.external_data if entry.key == "location")
            yield from (name for name in names if (path.parent / name).is_file())
