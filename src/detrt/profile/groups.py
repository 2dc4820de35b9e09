"""Which part of the detector a layer does the work of, by the names that its ONNX nodes got from the PyTorch modules.

The names of the official RT-DETR code, D-FINE, DEIM, of transformers and of detrt's own export are known. A builder
fuses nodes of several parts into one layer; such a layer counts for the part that comes first in `PRECEDENCE`, because
those parts own few layers and would else vanish in their neighbours.
"""

from __future__ import annotations

import re

from detrt.profile.layers import Layer

BACKBONE = "backbone"
AIFI = "AIFI"
CCFF = "CCFF"
SELECTION = "query selection"
VALUES = "value projection"
SELF_ATTENTION = "self-attention"
CROSS_ATTENTION = "cross-attention"
FFN = "FFN and norms"
HEADS = "heads"
POSTPROCESS = "postprocess"
OTHER = "other"

GROUPS = (
    BACKBONE, AIFI, CCFF, SELECTION, VALUES, SELF_ATTENTION, CROSS_ATTENTION, FFN, HEADS, POSTPROCESS, OTHER,
)  # fmt: skip
"""In the order of the data."""

PRECEDENCE = (
    POSTPROCESS, VALUES, CROSS_ATTENTION, SELF_ATTENTION, FFN, BACKBONE, AIFI, HEADS, SELECTION, CCFF, OTHER,
)  # fmt: skip

# The first pattern that is found in a node's name tells its part. A dot and a slash separate alike; so does `_` where a
# builder writes `layers_0` for `layers.0`.
_RULES = tuple(
    (re.compile(pattern), group)
    for pattern, group in (
        (r"postprocessor|post_process|^/[A-Z]\w*$", POSTPROCESS),
        (r"backbone", BACKBONE),
        (r"decoder_?input_proj|decoder/input_proj|decoder/memory", CCFF),
        (r"encoder[/.]encoder[._/]\d|encoder[/.]aifi|encoder/layers[._]\d", AIFI),
        (r"(^|/)(hybrid_)?encoder(?!_attn)", CCFF),
        (r"value_proj|decoder/values", VALUES),
        (r"layers[._]\d+/(cross_attn|encoder_attn|gateway)", CROSS_ATTENTION),
        (r"decoder.*layers[._]\d+/(self_attn|qkv?_proj|v_proj|out_proj)", SELF_ATTENTION),
        (
            r"dec_(bbox|score)_head|query_pos|placed_proj|pre_bbox_head|bbox_embed|class_embed|lqe_layers|integral",
            HEADS,
        ),
        (r"enc_(output|score_head|bbox_head)", SELECTION),
        (r"decoder.*layers[._]\d+/", FFN),
        (r"(?<!decoder/)decoder/(?!decoder)", SELECTION),
        (r"decoder/decoder/", HEADS),
    )
)


def group_of_node(name: str) -> str:
    """The part that an ONNX node of this name belongs to."""
    return next((group for pattern, group in _RULES if pattern.search(name)), OTHER)


def group_of(layer: Layer) -> str:
    """The part that a layer counts for; what moves data for a part and has no node of its own is known by its name."""
    found = {group_of_node(source) for source in layer.sources or (layer.name,)}
    return next(group for group in PRECEDENCE if group in found)


def decoder_layer_of(layer: Layer) -> int | None:
    """Number of the decoder layer that a layer works for, by the names of its nodes; None where they do not say."""
    found = (_DECODER_LAYER.search(source) for source in layer.sources)
    return max((int(match[1]) for match in found if match), default=None)


_DECODER_LAYER = re.compile(r"(?:decoder/layers|dec_(?:bbox|score)_head)[._](\d+)")
