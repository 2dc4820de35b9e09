"""A profile as a trace that Perfetto (ui.perfetto.dev) and chrome://tracing open."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from detrt.profile.labels import label_of
from detrt.profile.profile import EngineProfile

# Trace Event Format, Google; complete events "X" with microseconds, names of threads as metadata events "M".


def trace_of(profile: EngineProfile) -> dict[str, Any]:
    """The trace as a JSON object. Layers follow one another, as they were profiled; each stream has its own row."""
    return {
        "traceEvents": list(_events(profile)),
        "displayTimeUnit": "ns",
        "otherData": {
            "engine": profile.name,
            "device": profile.device,
            "note": "Mean of profiled runs, one layer at a time: the sum exceeds the engine's latency.",
        },
    }


def _events(profile: EngineProfile) -> Iterator[dict[str, Any]]:
    yield {"ph": "M", "pid": 0, "name": "process_name", "args": {"name": profile.name}}
    for stream in sorted({layer.stream for layer in profile.layers}):
        yield {"ph": "M", "pid": 0, "tid": stream, "name": "thread_name", "args": {"name": f"stream {stream}"}}
    start = 0.0
    for layer, group, time in zip(profile.layers, profile.groups, profile.mean, strict=True):
        yield {
            "ph": "X",
            "pid": 0,
            "tid": layer.stream,
            "ts": round(start, 4),
            "dur": round(time, 4),
            "name": label_of(layer),
            "cat": group,
            "args": {
                "group": group,
                "precision": layer.precision,
                "kind": layer.kind,
                "layer": layer.name,
                "tactic": layer.tactic,
                "onnx": list(layer.sources),
            },
        }
        start += time
