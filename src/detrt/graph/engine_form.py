"""The graph as an engine runs it fastest: the same function in other operators."""

from __future__ import annotations

from typing import NamedTuple

import onnx

from detrt.graph.chunk_top_k import chunk_top_k
from detrt.graph.halve_feed_forward import halve_feed_forward
from detrt.graph.passes import Pass, PassResult
from detrt.graph.tap_convolutions import tap_convolutions
from detrt.graph.values_by_head import values_by_head

REWRITES: tuple[tuple[str, Pass], ...] = (
    ("values by head", values_by_head),
    ("feed-forward blocks in halves", halve_feed_forward),
    ("deep convolutions by taps", tap_convolutions),
    ("long top-k in chunks", chunk_top_k),
)
"""The rewrites, in order, by what they do."""


class EngineForm(NamedTuple):
    """The rewritten model, and what of `REWRITES` found something to do."""

    model: onnx.ModelProto
    rewrites: tuple[str, ...]


def engine_form(model: onnx.ModelProto) -> PassResult:
    """Apply every rewrite that pays on a GPU with a batch of one; unchanged where none has anything to do.

    Latency of RT-DETRv2-R18 at 640x640, FP16, batch 1, after each rewrite on top of those before it; medians of one run
    on an H100 with TensorRT-RTX 1.6.1 and a CUDA graph:

    | graph                           | raw outputs | detections |
    | ------------------------------- | ----------: | ---------: |
    | as exported                     |    0.850 ms |   0.892 ms |
    | values by head                  |    0.828 ms |            |
    | + feed-forward blocks in halves |    0.817 ms |            |
    | + deep convolutions by taps     |    0.790 ms |            |
    | + long top-k in chunks          |    0.782 ms |  0.807 ms* |

    * Only the one over 24,000 scores; with raw outputs there is only the one over 8,400.

    They are found by structure in graphs of fixed shapes, in FP32 or FP16; what is quantised is left alone. Each
    module says what it asks for and why it pays. Inputs, outputs and metadata stay as they are.
    """
    form = in_engine_form(model)
    return PassResult(form.model, changed=bool(form.rewrites))


def in_engine_form(model: onnx.ModelProto) -> EngineForm:
    """`engine_form`, and what it did, for people."""
    done = []
    for what, rewrite in REWRITES:
        model, changed = rewrite(model)
        done += [what] * changed
    return EngineForm(model, tuple(done))
