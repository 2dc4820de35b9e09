"""An engine as its inspector shows it: layers, the tensors between them, and what they were made from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Work = Literal["compute", "reformat", "sync"]
"""What a layer is for: numbers; another layout or type of the same numbers; order between streams."""

_WIDTH = {"FP4": 4, "INT4": 4, "FP8": 8, "INT8": 8, "UINT8": 8, "FP16": 16, "BF16": 16, "TF32": 19, "FP32": 32}


@dataclass(frozen=True)
class LayerTensor:
    """A tensor between layers; `dtype` as people write it (INT8, FP16, FP32), empty where the engine does not say."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    layout: str


@dataclass(frozen=True)
class Layer:
    """One layer of a built engine, often many nodes of the ONNX graph.

    Attributes:
        name: as the builder calls it; not unique.
        kind: the builder's word for it: CaskConvolution, gemm, kgen.
        sources: the ONNX nodes that it does the work of, in the order that the builder states.
        stream: number of the stream that it runs on.
        tactic: the kernel that was chosen; may be empty.
    """

    name: str
    kind: str
    sources: tuple[str, ...] = ()
    inputs: tuple[LayerTensor, ...] = ()
    outputs: tuple[LayerTensor, ...] = ()
    stream: int = 0
    tactic: str = ""

    @property
    def work(self) -> Work:
        """See `Work`."""
        if self.kind.lower() in ("signal", "wait", "shape_call"):
            return "sync"
        if self.kind.lower() in ("reformat", "nooreformat") or self.name.startswith("Reformatting CopyNode"):
            return "reformat"
        return "compute"

    @property
    def is_quantizer(self) -> bool:
        """Whether it only quantises: a reformat that an ONNX QuantizeLinear asked for."""
        return self.work == "reformat" and any("QuantizeLinear" in source for source in (*self.sources, self.name))

    @property
    def precision(self) -> str:
        """What it computes on: the narrowest type of the numbers that it reads; empty where nothing is known.

        A residual that is added in FP16 to an INT8 convolution leaves it an INT8 convolution. TF32 is FP32 in memory
        and shows in the kernel's name alone.
        """
        types = [tensor.dtype for tensor in self.inputs or self.outputs if tensor.dtype in _WIDTH]
        if not types:
            return ""
        narrowest = min(types, key=lambda dtype: _WIDTH[dtype])
        return "TF32" if narrowest == "FP32" and "tf32" in self.tactic.lower() else narrowest


def links(layers: Iterable[Layer]) -> list[tuple[int, int]]:
    """(maker, reader) for each tensor that goes from one layer to a later one.

    Builders use one name for several tensors in turn; a reader means what was written last before it.
    """
    makers: dict[str, int] = {}
    found: dict[tuple[int, int], None] = {}
    for number, layer in enumerate(layers):
        for tensor in layer.inputs:
            if tensor.name in makers:
                found[makers[tensor.name], number] = None
        for tensor in layer.outputs:
            makers[tensor.name] = number
    return list(found)
