"""What a rewrite leaves behind: nodes and constants that nothing reads any more."""

from __future__ import annotations

import onnx


def drop_unread(graph: onnx.GraphProto) -> None:
    """Remove, in place, the nodes and constants that no output depends on."""
    needed = {value.name for value in graph.output}
    kept = []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            kept.append(node)
            needed.update(node.input)
    del graph.node[:]
    graph.node.extend(reversed(kept))
    for name in ("initializer", "value_info"):
        entries = getattr(graph, name)
        alive = [entry for entry in entries if entry.name in needed]
        del entries[:]
        entries.extend(alive)
