"""What ONNX operators do to precision: which make new numbers, which only pass numbers on."""

from __future__ import annotations

PRODUCTS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul", "Einsum"})
"""Sums of products: what narrow types are for. TensorRT accumulates them in float32."""

CARRIERS = frozenset(
    {"Concat", "DepthToSpace", "Expand", "Flatten", "Gather", "GatherElements", "GatherND", "Identity", "Max"}
    | {"MaxPool", "Min", "Pad", "ReduceMax", "ReduceMin", "Relu", "Reshape", "ScatterElements", "ScatterND", "Slice"}
    | {"SpaceToDepth", "Split", "Squeeze", "Tile", "TopK", "Transpose", "Trilu", "Unsqueeze", "Where", "Abs", "Neg"}
)
"""Every number that comes out went in: exact in any type."""

OBSERVERS = frozenset({"Shape", "Size", "Cast"})
"""Take any type as it is, so nothing needs to be cast for them."""

SPATIAL = frozenset(
    {"AveragePool", "GlobalAveragePool", "GlobalMaxPool", "GridSample", "LpPool", "Resize", "RoiAlign", "Upsample"}
    | {"BatchNormalization", "GroupNormalization", "InstanceNormalization", "LayerNormalization"}
)
"""Belong to feature maps, not to the arithmetic on boxes and scores that follows them."""

SQUARES = frozenset({"Exp", "Pow", "Reciprocal", "ReduceL2", "ReduceLogSumExp", "ReduceProd", "ReduceSumSquare"})
"""Leave the range of FP16 for ordinary inputs: 256 squared is too much. Without photos nobody knows, so they stay."""

SUMS = {"ReduceMean": "ReduceL1", "ReduceSum": "ReduceL1", "ReduceL1": "ReduceL1", "ReduceL2": "ReduceSumSquare"}
"""Reductions that sum inside, and the reduction that measures the largest partial sum."""

QUANTIZERS = frozenset({"QuantizeLinear", "DequantizeLinear"})

OPAQUE = frozenset(
    {"Bernoulli", "DynamicQuantizeLinear", "EyeLike", "GRU", "LSTM", "Multinomial", "NonMaxSuppression", "RNN"}
    | {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Range", "RoiAlign"}
)
"""Fix their own types by an attribute, or exist in float32 only."""

FLOAT32_SLOTS = {"Resize": (1, 2), "Upsample": (1,), "DeformableAttention": (1, 2, 3)}
"""Inputs that are float32 whatever the type of the data."""

ANY_FLOAT = frozenset({("detrt", "DeformableAttention")})
"""Operators outside of the standard that take data of any float type, and give the same."""


def is_standard(domain: str) -> bool:
    """Whether an operator of that domain is ONNX's own."""
    return domain in ("", "ai.onnx")
