"""Fold what is constant, drop what does nothing."""

from __future__ import annotations

import onnx

from detrt.extras import require
from detrt.graph.passes import PassResult

# Turns every linear layer into Reshape, Gemm, Reshape: more nodes, and no faster anywhere.
_LEFT_OUT = ["FusionGemm"]


def simplify(model: onnx.ModelProto) -> PassResult:
    """Constant folding, dead nodes, equal nodes merged, shapes inferred (onnxslim)."""
    onnxslim = require("onnxslim", extra="torch", purpose="Exporting a model")
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    slim: onnx.ModelProto = onnxslim.slim(copy, skip_fusion_patterns=_LEFT_OUT)
    return PassResult(slim, [n.op_type for n in slim.graph.node] != [n.op_type for n in model.graph.node])
