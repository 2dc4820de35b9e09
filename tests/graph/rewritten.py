"""What the tests of every rewrite ask of it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx

from detrt.graph.passes import Pass
from detrt.runtime.base import Array
from detrt.runtime.onnxruntime import OnnxRuntime


def rewritten(model: onnx.ModelProto, rewrite: Pass) -> onnx.ModelProto:
    """The rewritten model, which is valid, has the signature of the first, and leaves nothing more to rewrite."""
    before = model.SerializeToString()
    result = rewrite(model)
    assert result.changed
    assert model.SerializeToString() == before
    onnx.checker.check_model(result.model, full_check=True)
    for part in ("input", "output"):
        assert getattr(result.model.graph, part) == getattr(model.graph, part)
    assert result.model.metadata_props == model.metadata_props
    names = [node.name for node in result.model.graph.node]
    assert len(set(names)) == len(names)
    assert not rewrite(result.model).changed
    return result.model


def require_untouched(model: onnx.ModelProto, rewrite: Pass) -> None:
    """Make sure that the rewrite has nothing to do and hands back the very model."""
    result = rewrite(model)
    assert not result.changed
    assert result.model is model


def outputs_of(model: onnx.ModelProto, feeds: Mapping[str, Array]) -> Mapping[str, Array]:
    """Run it in ONNX Runtime."""
    with OnnxRuntime(model.SerializeToString(), device="cpu") as runtime:
        return runtime.run(feeds)


def require_close(first: onnx.ModelProto, second: onnx.ModelProto, feeds: Mapping[str, Array]) -> None:
    """Make sure that both give the same, to 1e-5 of the largest number."""
    given, wanted = outputs_of(second, feeds), outputs_of(first, feeds)
    for name, value in wanted.items():
        np.testing.assert_allclose(given[name], value, rtol=0, atol=1e-5 * max(1, np.abs(value).max()))
