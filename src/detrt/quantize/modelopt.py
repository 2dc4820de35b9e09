"""NVIDIA ModelOpt's own ONNX quantisation, as it comes."""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

import numpy as np
import onnx

from detrt.contract import ModelContract
from detrt.errors import ModelError
from detrt.extras import require
from detrt.graph import onnx_file
from detrt.graph.index import GraphIndex, key_of
from detrt.graph.products import Product
from detrt.quantize.calibration import PreparedPhoto
from detrt.quantize.formats import Precision


def quantized_by_modelopt(
    model: onnx.ModelProto,
    contract: ModelContract,
    photos: Iterable[PreparedPhoto],
    precision: Precision,
    calibration: str,
) -> onnx.ModelProto:
    """Run `modelopt.onnx.quantization.quantize` on the CPU; the rest of the graph stays float32.

    ModelOpt takes all photos as one array, so memory grows with their number: 256 photos of 640x640 are 1.3 GB.

    Args:
        model: the float model.
        contract: of the model; names its inputs.
        photos: to calibrate on.
        precision: the narrow type.
        calibration: `max`, `entropy`, or `default` for what ModelOpt takes by itself.

    Raises:
        MissingExtraError: ModelOpt is not installed.
        ModelError: it fails on this model.
    """
    quantization = require("modelopt.onnx.quantization", extra="quantize", purpose="The recipe's placement")
    named = onnx.ModelProto()
    named.CopyFrom(model)
    for node in named.graph.node:
        node.name = node.name or key_of(node)  # ModelOpt tells nodes by their names, and so do we what it did
    feeds = [photo.feeds for photo in photos]
    arrays = {name: np.concatenate([feed[name] for feed in feeds]) for name in feeds[0]}
    shapes = ",".join(f"{name}:{'x'.join(map(str, (1, *array.shape[1:])))}" for name, array in arrays.items())
    with tempfile.TemporaryDirectory() as folder, quiet():
        source, result = Path(folder) / "float.onnx", Path(folder) / "quantized.onnx"
        source.write_bytes(named.SerializeToString())
        try:
            quantization.quantize(
                str(source),
                quantize_mode=precision,
                calibration_data=arrays,
                calibration_method=None if calibration == "default" else calibration,
                calibration_shapes=shapes,
                calibration_eps=["cpu"],
                high_precision_dtype="fp32",
                output_path=str(result),
            )
            return onnx_file.load(result)
        except Exception as error:  # it raises whatever its many parts raise
            raise ModelError(
                f"ModelOpt cannot quantise the model: {type(error).__name__}: {str(error).strip().splitlines()[:1]}.",
                "Use a recipe of detrt's own placement: --recipe safe",
            ) from error


def placed_by_modelopt(quantized: onnx.ModelProto, products: Collection[Product]) -> frozenset[str]:
    """Keys of the products whose inputs ModelOpt has quantised, told by their nodes' names."""
    graph = GraphIndex(quantized)
    narrow = {
        node.name
        for node in graph.nodes
        if (maker := graph.producer.get(node.input[0] if node.input else "")) is not None
        and _is_dequantized(graph, maker)
    }
    return frozenset(product.key for product in products if product.name in narrow)


def _is_dequantized(graph: GraphIndex, number: int) -> bool:
    """Whether a node gives rounded values; ModelOpt may put a cast behind the dequantiser."""
    node = graph.nodes[number]
    if node.op_type == "Cast" and node.input[0] in graph.producer:
        node = graph.nodes[graph.producer[node.input[0]]]
    return node.op_type == "DequantizeLinear"


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """ModelOpt prints and logs every step; the caller says what matters."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(before)
