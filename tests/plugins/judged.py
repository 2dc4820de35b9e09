"""What a plugin made of a node's inputs, held to float64 by the bounds of tests/kernels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from detrt.graph.multi_head_offsets import attribute_names
from detrt.kernels.launch import Element
from detrt.plugins.attention import AttentionOperation
from tests.kernels import attention_cases, offset_cases
from tests.plugins.nodes import Node


def require_right(node: Node, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> None:
    """The node's attributes say what is to be done; inputs may be of another type than its feeds.

    Raises:
        AssertionError: an output is further from what it should be than its type and FP32 arithmetic excuse.
    """
    if "heads" in node.fields:
        _require_attention(node, inputs, *outputs)
    else:
        rows = [output.flatten(0, -2) for output in outputs]
        offset_cases.check_offsets(offsets_numbers(node, *inputs), rows)


def _require_attention(node: Node, inputs: Sequence[Tensor], output: Tensor) -> None:
    value, references, offsets, logits = inputs
    (batch, cells, channels), queries = value.shape, references.shape[1]
    operation = AttentionOperation.from_fields(node.fields)
    assert operation.offset_scale == 0.5, "the cases' own"
    heads, points = operation.heads, sum(operation.points)
    case = attention_cases.AttentionCase(
        seed=0,
        batch=batch,
        queries=queries,
        heads=heads,
        head_dim=channels // heads,
        shapes=tuple(operation.levels),
        points=tuple(operation.points),
        reference_size=references.shape[2],
        discrete=bool(operation.discrete),
        element=_element(value),
        sampling=_element(offsets),
    )
    numbers = attention_cases.Numbers(
        value.view(batch, cells, heads, -1),
        references,
        offsets.view(batch, queries, heads, points, 2),
        logits.view(batch, queries, heads, points),
    )
    attention_cases.check_attention(case, numbers, output.view(batch, queries, heads, -1))


def offsets_numbers(node: Node, codes: Tensor) -> offset_cases.Numbers:
    """What the node's fields say, and codes (..., K)."""

    def layer(part: str) -> offset_cases.Layer:
        weight, scale, _, bias = (
            torch.from_numpy(node.fields[name]).to(codes.device) for name in attribute_names(part)
        )
        return offset_cases.Layer(weight.view(len(bias), -1), scale, bias)

    scale = float(node.fields["input_scale"][0])
    return offset_cases.Numbers(codes.flatten(0, -2), scale, (layer("attn"), layer("sp")))


def _element(tensor: Tensor) -> Element:
    return Element[str(tensor.dtype).removeprefix("torch.")]
