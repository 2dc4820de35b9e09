"""Carry models of tens of megabytes to a machine that takes only small files, for timing: structure without weights.

    python tools/hollow.py empty MODEL.onnx... --out DIR     # here: weights become (mean, deviation) notes
    python tools/hollow.py fill DIR --out DIR                # there: noise of the same mean and deviation

The speed of a network does not depend on its weights; its answers do, so a filled model is never scored.
"""

from __future__ import annotations

import argparse
import json
import zlib
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

LARGE = 4096  # elements; what is smaller may be a shape or an anchor and travels as it is
SANE = 1e4  # a tensor that holds more, such as the anchors of unused cells, is no weight
KINDS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.FLOAT8E4M3FN)
LARGEST = {TensorProto.FLOAT8E4M3FN: 448.0}  # what lies above becomes NaN


def emptied(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy whose large floating-point weights are notes."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for tensor in copy.graph.initializer:
        values = numpy_helper.to_array(tensor).astype(np.float32) if tensor.data_type in KINDS else np.empty(0)
        if values.size >= LARGE and np.abs(values).max() < SANE:
            note = json.dumps({"mean": float(values.mean()), "deviation": float(values.std())})
            hollow = TensorProto(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims, doc_string=note)
            tensor.CopyFrom(hollow)
    return copy


def filled(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy whose notes are weights again: noise, the same every time, seeded by the tensor's name."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for tensor in copy.graph.initializer:
        if tensor.doc_string.startswith('{"mean"') and not tensor.raw_data:
            note = json.loads(tensor.doc_string)
            noise = np.random.default_rng(zlib.crc32(tensor.name.encode())).standard_normal(tuple(tensor.dims))
            largest = LARGEST.get(tensor.data_type, np.inf)
            values = np.clip(note["mean"] + note["deviation"] * noise, -largest, largest)
            dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
            tensor.CopyFrom(numpy_helper.from_array(values.astype(dtype), tensor.name))
    return copy


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["empty", "fill"])
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    change = emptied if asked.action == "empty" else filled
    for path in asked.paths:
        for file in sorted(path.glob("*.onnx")) if path.is_dir() else [path]:
            target = asked.out / file.name
            target.write_bytes(change(onnx.load(file)).SerializeToString())
            print(f"{target}: {target.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
