"""Short names of layers, for tables and pictures: where in the model, not which kernels."""

from __future__ import annotations

import re
from collections.abc import Sequence

from detrt.profile.layers import Layer

_MAIN = (
    "Conv", "MatMul", "Gemm", "TopK", "GridSample", "LayerNormalization", "Softmax", "MaxPool", "AveragePool",
)  # fmt: skip
"""Operators that a fused layer is there for; the first that is among its nodes names it."""

_PLAIN = re.compile(r"(Conv|MatMul|Gemm)(_\d+)?$")
_SILENT = frozenset({"", "model", "module", "backbone", "input_quantizer", "weight_quantizer"})
_TRAILING = frozenset({"conv", "norm", "act"})


def label_of(layer: Layer, *, most: int = 44) -> str:
    """For example `res_layers.3.blocks.1.branch2a` or `layers.1.cross_attn GridSample`, in `most` characters."""
    if layer.work == "sync":
        return layer.kind
    if layer.is_quantizer:
        owner = next(source for source in (*layer.sources, layer.name) if "QuantizeLinear" in source)
        return f"quantise {_short(_place(owner), most - 9)}"
    if layer.work == "reformat":
        return f"copy {_short(_copied(layer.name), most - 5)}"
    sources = [source for source in layer.sources if "quantizer" not in source] or list(layer.sources)
    if not sources:
        return _short(re.sub(r"^__myl_|_myl\d+_\d+$", "", layer.name), most)
    main = _main(sources)
    operator = main.rpartition("/")[2]
    suffix = "" if _PLAIN.match(operator) else f" {operator}"
    return _short(_place(main), max(8, most - len(suffix))) + suffix


def _main(sources: Sequence[str]) -> str:
    for kind in _MAIN:
        for source in sources:
            if re.match(rf"{kind}(_\d+)?$", source.rpartition("/")[2]):
                return source
    return sources[0]


def _place(node: str) -> str:
    """`/model/backbone/res_layers.3/blocks.1/branch2a/conv/Conv` -> `res_layers.3.blocks.1.branch2a`."""
    parts = [part for part in node.split("/")[:-1] if part]
    kept = [part for part in parts if part not in _SILENT] or parts[-1:] or [node]
    while len(kept) > 1 and kept[-1] in _TRAILING:
        kept.pop()
    if kept[:2] == ["decoder", "decoder"]:
        kept = kept[2:] or ["decoder"]
    return ".".join(kept)


def _copied(name: str) -> str:
    """What a copy is for: the last path in its name."""
    found = re.findall(r"/[\w./]+", name)
    return _place(found[-1] + "/") if found else re.sub(r"^Reformatting CopyNode for ", "", name)


def _short(text: str, most: int) -> str:
    """The end of a dotted path, which tells more than its beginning."""
    while len(text) > most and "." in text[:-1]:
        text = text.partition(".")[2]
    return text if len(text) <= most else text[: most - 1] + "…"
