"""From PyTorch to a first ONNX graph, as the tracer of PyTorch writes it."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Sequence
from contextlib import redirect_stdout

import onnx
import torch

from detrt.errors import GraphError

BATCH = "batch"  # name of the dynamic axis


def traced(
    module: torch.nn.Module,
    arguments: Sequence[torch.Tensor],
    *,
    inputs: Sequence[str],
    outputs: Sequence[str],
    opset: int,
    dynamic_batch: bool,
) -> onnx.ModelProto:
    """Record one run of `module` as an ONNX graph, nodes named by module path.

    This uses PyTorch's older exporter, by tracing: it writes opset 17, gives one node for one operation, and names
    each by the module that it ran in. The newer one starts at opset 18, and names nodes by counters.

    Args:
        module: in evaluation mode.
        arguments: example inputs; with a dynamic batch they should hold more than one image, so that nothing takes
            the 1 for a constant.
        inputs: what the graph's inputs are to be called.
        outputs: and its outputs.
        opset: of the ONNX standard.
        dynamic_batch: whether the first axis of every input and output is left open.

    Raises:
        GraphError: PyTorch cannot export the module.
    """
    names = (*inputs, *outputs)
    buffer = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # tracing warns of every shape that becomes a constant, which is the aim here
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        try:
            torch.onnx.export(
                module,
                tuple(arguments),
                buffer,  # type: ignore[arg-type]  # it takes a file object, as its documentation says
                input_names=list(inputs),
                output_names=list(outputs),
                dynamic_axes={name: {0: BATCH} for name in names} if dynamic_batch else None,
                opset_version=opset,
                dynamo=False,
            )
        except (RuntimeError, TypeError, ValueError, torch.onnx.errors.OnnxExporterError) as error:
            raise GraphError(
                f"PyTorch {torch.__version__} cannot export the model at opset {opset}: {error}.",
                "Use opset 17 with PyTorch 2.5 to 2.13; please report what was exported.",
            ) from error
    return onnx.load_from_string(buffer.getvalue())
