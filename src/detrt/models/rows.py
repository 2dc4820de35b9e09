"""Picking rows of a table, batch by batch, so that an export holds one gather and nothing around it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def take_rows(table: Tensor, index: Tensor) -> Tensor:
    """Rows of each image's table.

    In ONNX this is one `Gather` where the batch is known to be 1, and else one `GatherND`: no expanded index.

    Args:
        table: (N, R, C).
        index: (N, K), integers in 0..R-1.

    Returns:
        (N, K, C).
    """
    result: Tensor = _TakeRows.apply(table, index)  # type: ignore[no-untyped-call]
    return result


_INT64 = 7  # onnx.TensorProto.INT64


class _TakeRows(torch.autograd.Function):
    """`torch.gather` with an ONNX form of its own (the built-in one expands the index to C columns)."""

    @staticmethod
    def forward(context: Any, table: Tensor, index: Tensor) -> Tensor:
        return torch.gather(table, 1, index.long().unsqueeze(-1).expand(-1, -1, table.shape[-1]))

    @staticmethod
    def symbolic(graph: Any, table: Any, index: Any) -> Any:
        batch, _, columns = table.type().varyingSizes()
        _, count = index.type().varyingSizes()
        if batch == 1:
            flat = graph.op("Reshape", table, graph.op("Constant", value_t=torch.tensor([-1, columns])))
            picked = graph.op("Gather", flat, index, axis_i=0)
        else:
            whole = graph.op("Cast", index, to_i=_INT64)  # all that GatherND takes
            column = graph.op("Unsqueeze", whole, graph.op("Constant", value_t=torch.tensor([-1])))
            picked = graph.op("GatherND", table, column, batch_dims_i=1)
        picked.setType(table.type().with_sizes([batch, count, columns]))
        return picked
