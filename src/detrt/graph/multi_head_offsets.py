"""`detrt::MultiHeadOffsets`: attention weights and sampling offsets of one decoder layer, from INT8 codes in one node.

    w   = int8 weights, per output                          given
    acc = sum over k of (x[q, k] - x_zero) * (w[o, k] - w_zero[o])      int32, exact
    out = float32(acc) * (x_scale * w_scale[o]) + bias[o]   float32

The operator is an ONNX function: its body is the definition, so ONNX Runtime and the reference evaluator of ONNX run it
as it is, and a TensorRT plugin of the same name has something to be held to.
"""

from __future__ import annotations

from collections.abc import Iterable

import onnx
from onnx import AttributeProto, FunctionProto, NodeProto, TensorProto, helper, numpy_helper

from detrt.graph.quantized_linear import QuantizedLinear

DOMAIN = "detrt"
NAME = "MultiHeadOffsets"
VERSION = 1

PARTS = ("attn", "sp")
"""In the order of the outputs: attention weights before their softmax, then sampling offsets."""


def attribute_names(part: str) -> tuple[str, str, str, str]:
    """Weight int8 (O, K), its scale float32 (O,), its zero point int8 (O,), bias float32 (O,)."""
    return f"int8_{part}_weight", f"{part}_weight_scale", f"{part}_weight_offset", f"{part}_fp32_bias"


ATTRIBUTES = ("input_scale", "input_offset", *(name for part in PARTS for name in attribute_names(part)))


def multi_head_offsets(attention: QuantizedLinear, offsets: QuantizedLinear, *, name: str) -> NodeProto:
    """The node that does what both layers do. One input: the codes, int8 (..., K); two outputs, float32 (..., O)."""
    node = helper.make_node(NAME, [attention.codes], [attention.output, offsets.output], name=name, domain=DOMAIN)
    values = {"input_scale": attention.input_scale, "input_offset": attention.input_zero}
    for part, linear in zip(PARTS, (attention, offsets), strict=True):
        arrays = (linear.weight, linear.weight_scale, linear.weight_zero, linear.bias)
        values |= dict(zip(attribute_names(part), arrays, strict=True))
    node.attribute.extend(
        helper.make_attribute(key, numpy_helper.from_array(value, key)) for key, value in values.items()
    )
    return node


def with_definition(model: onnx.ModelProto) -> onnx.ModelProto:
    """Let the model, which is edited, know the operator; the body takes the model's own opset."""
    opset = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 17)
    if not any(entry.domain == DOMAIN for entry in model.opset_import):
        model.opset_import.append(helper.make_opsetid(DOMAIN, VERSION))
    if not any((function.domain, function.name) == (DOMAIN, NAME) for function in model.functions):
        model.functions.append(_definition(opset))
    return model


def _definition(opset: int) -> FunctionProto:
    nodes = [
        _attribute("input_scale"),
        _attribute("input_offset"),
        _cast("codes", "wide", TensorProto.INT32),  # int32 products: exact on every processor
        _cast("input_offset", "wide_offset", TensorProto.INT32),
        helper.make_node("Sub", ["wide", "wide_offset"], ["centred"]),
    ]
    for part in PARTS:
        nodes.extend(_half(part))
    return helper.make_function(
        DOMAIN,
        NAME,
        ["codes"],
        ["attention", "offsets"],
        nodes,
        [helper.make_opsetid("", opset)],
        attributes=list(ATTRIBUTES),
        doc_string=(__doc__ or "").strip(),
    )


def _half(part: str) -> Iterable[NodeProto]:
    weight, scale, zero, bias = attribute_names(part)
    output = {"attn": "attention", "sp": "offsets"}[part]
    yield from map(_attribute, (weight, scale, zero, bias))
    yield helper.make_node("Transpose", [weight], [f"{part}_columns"], perm=[1, 0])
    yield _cast(f"{part}_columns", f"{part}_wide", TensorProto.INT32)
    yield _cast(zero, f"{part}_wide_zero", TensorProto.INT32)
    yield helper.make_node("Sub", [f"{part}_wide", f"{part}_wide_zero"], [f"{part}_centred"])
    yield helper.make_node("MatMul", ["centred", f"{part}_centred"], [f"{part}_sum"])
    yield _cast(f"{part}_sum", f"{part}_float", TensorProto.FLOAT)
    yield helper.make_node("Mul", ["input_scale", scale], [f"{part}_scale"])
    yield helper.make_node("Mul", [f"{part}_float", f"{part}_scale"], [f"{part}_scaled"])
    yield helper.make_node("Add", [f"{part}_scaled", bias], [output])


def _attribute(name: str) -> NodeProto:
    """A Constant that gives the function's attribute."""
    node = helper.make_node("Constant", [], [name])
    node.attribute.append(AttributeProto(name="value", type=AttributeProto.TENSOR, ref_attr_name=name))
    return node


def _cast(source: str, target: str, kind: int) -> NodeProto:
    return helper.make_node("Cast", [source], [target], to=kind)
