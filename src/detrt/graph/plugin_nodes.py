"""Pass: a graph for a TensorRT that has the plugins, whose parser then makes a plugin of each node that has one.

A node with a definition runs anywhere; older parsers expand it even where there is a plugin. So the definitions go, and
each node says where its plugin is registered.
"""

from __future__ import annotations

import onnx
from onnx import helper

from detrt.graph import deformable_attention, multi_head_offsets
from detrt.graph.multi_head_offsets import DOMAIN
from detrt.graph.passes import PassResult

PLUGINS = (multi_head_offsets.NAME, deformable_attention.NAME)
PLACE = {"plugin_namespace": "detrt", "plugin_version": "1"}
"""What TensorRT's ONNX parser looks for on a node. The names are those of plugins/native/src/operation.h."""


def for_plugins(model: onnx.ModelProto) -> PassResult:
    """Leave out the definitions and name the plugins' place; unchanged where there is no such node."""
    if not count_of(model):
        return PassResult(model, changed=False)
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    kept = [function for function in bare.functions if (function.domain, function.name) not in _KEYS]
    del bare.functions[:]
    bare.functions.extend(kept)
    for node in bare.graph.node:
        if (node.domain, node.op_type) in _KEYS:
            given = {item.name for item in node.attribute}
            node.attribute.extend(
                helper.make_attribute(name, value) for name, value in PLACE.items() if name not in given
            )
    return PassResult(bare, changed=True)


def count_of(model: onnx.ModelProto) -> int:
    """How many nodes have a plugin."""
    return sum((node.domain, node.op_type) in _KEYS for node in model.graph.node)


_KEYS = frozenset((DOMAIN, name) for name in PLUGINS)
