"""RT-DETRv2 from PyTorch to ONNX: the deployed model, traced, then a list of passes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import onnx
import torch

from detrt.contract import ModelContract, OutputForm, roles
from detrt.errors import UsageError
from detrt.graph.checked import check
from detrt.graph.deformable_attention import define_attention
from detrt.graph.names import name_by_path
from detrt.graph.onnx_file import with_contract
from detrt.graph.passes import Pass, PassResult, apply
from detrt.graph.shared_constants import share_constants
from detrt.graph.simplify import simplify
from detrt.graph.trace import traced
from detrt.graph.transposed_gemm import transpose_inside_gemm
from detrt.models.attention import Sampler
from detrt.models.deployed import Deployed
from detrt.models.rtdetrv2 import RTDETRv2

OPSETS = (17, 18)


@dataclass(frozen=True)
class ExportOptions:
    """What the ONNX is to be like.

    Attributes:
        batch: images a run; None leaves it open.
        output: `detections`, decoded with `orig_target_sizes`, or `raw` logits and boxes.
        sampler: operator of the bilinear sampling; `gather` is for runtimes that miscompile GridSample, `plugin` makes
            one `detrt::DeformableAttention` of a layer's sampling (graph/deformable_attention.py).
        opset: 17, which every TensorRT from 8.6 on reads, or 18.
    """

    batch: int | None = 1
    output: OutputForm = "detections"
    sampler: Sampler = "grid-sample"
    opset: int = 17

    def __post_init__(self) -> None:
        if self.opset not in OPSETS:
            raise UsageError(f"The opset is {self.opset}.", f"Use one of: {', '.join(map(str, OPSETS))}.")
        if self.batch is not None and self.batch < 1:
            raise UsageError(f"The batch is {self.batch}.", "Give 1 or more, or leave it open (dynamic).")


def onnx_from_model(model: RTDETRv2, contract: ModelContract, options: ExportOptions) -> onnx.ModelProto:
    """Export.

    Args:
        model: on the CPU; its variant holds the input size.
        contract: written into the ONNX; its size and output form must be those of `model` and `options`.
        options: see there.

    Raises:
        GraphError: the model cannot be exported, or the result is not valid.
    """
    inputs = ("images", "orig_target_sizes") if options.output == "detections" else ("images",)
    batch = options.batch or 2
    images = torch.zeros(batch, 3, *model.variant.size)
    sizes = torch.tensor([model.variant.size[::-1]] * batch)
    graph = traced(
        Deployed(model, options.output, options.sampler, single=options.batch == 1),
        (images, sizes)[: len(inputs)],
        inputs=inputs,
        outputs=roles(options.output),
        opset=options.opset,
        dynamic_batch=options.batch is None,
    )
    return apply(graph, export_passes(contract)).model


def export_passes(contract: ModelContract) -> tuple[Pass, ...]:
    """What happens to a traced graph, in order."""
    return (
        simplify,
        transpose_inside_gemm,
        share_constants,
        name_by_path,
        define_attention,
        partial(_embed, contract=contract),
        check,
    )


def _embed(model: onnx.ModelProto, *, contract: ModelContract) -> PassResult:
    return PassResult(with_contract(model, contract), True)
