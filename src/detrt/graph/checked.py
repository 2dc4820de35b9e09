"""A last look at a graph before anybody else sees it."""

from __future__ import annotations

import onnx

from detrt.errors import GraphError
from detrt.graph.passes import PassResult


def check(model: onnx.ModelProto) -> PassResult:
    """Change nothing.

    Raises:
        GraphError: the model breaks the ONNX standard, or its shapes contradict each other.
    """
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise GraphError(
            f"The graph is not valid ONNX: {error}.", "Please report it with the command that you ran."
        ) from error
    return PassResult(model, False)
