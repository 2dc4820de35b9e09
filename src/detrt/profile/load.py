"""Read a profile from the JSON files that trtexec, trt-engine-explorer or `detrt profile --save` left in a folder."""

from __future__ import annotations

import json
from collections import defaultdict, deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from detrt.errors import EngineError
from detrt.files import name_of
from detrt.profile.inspector_json import layers_from_json
from detrt.profile.layers import Layer
from detrt.profile.profile import EngineProfile
from detrt.profile.timings_json import (
    LayerTime,
    device_from_json,
    is_layer_times,
    is_run_times,
    latency_from_json,
    layer_times_from_json,
)


def profile_from_files(source: Path) -> EngineProfile:
    """The profile in a folder of JSON files, or in one file of layers. What a file holds is seen by its content.

    Raises:
        EngineError: no file holds layers, several do, a file is damaged, or the times are another engine's.
    """
    if not source.exists():
        raise EngineError(f"There is nothing at {source}.", "Give an engine, or a folder of TensorRT's JSON files.")
    files = sorted(source.glob("*.json")) if source.is_dir() else [source]
    contents = [(file, _read(file)) for file in files]
    layer_files = [(file, content) for file, content in contents if isinstance(content, dict) and "Layers" in content]
    if len(layer_files) != 1:
        names = ", ".join(file.name for file, _ in layer_files) or f"none of {len(files)} JSON files"
        raise EngineError(
            f"One file of {source} must hold an engine's layers, but {names} {'do' if layer_files else 'does'}.",
            "Give a folder for each engine: its inspector's JSON, and beside it what trtexec wrote with "
            "--exportProfile and --exportTimes.",
        )
    layers = layers_from_json(layer_files[0][1])
    runs, times = next((layer_times_from_json(content) for _, content in contents if is_layer_times(content)), (0, []))
    return EngineProfile(
        name=name_of(Path(source.name if source.is_dir() else source.stem)),
        layers=layers,
        times=join(layers, times) if times else (),
        latency=next((latency_from_json(content) for _, content in contents if is_run_times(content)), None),
        runs=runs,
        device=next(filter(None, (device_from_json(content) for _, content in contents)), ""),
    )


def join(layers: Sequence[Layer], times: Sequence[tuple[str, LayerTime]]) -> tuple[LayerTime, ...]:
    """The time of each layer, by name; layers of one name take their times in order, and those without one take none.

    Raises:
        EngineError: most times belong to no layer.
    """
    waiting: dict[str, deque[LayerTime]] = defaultdict(deque)
    for name, time in times:
        waiting[name].append(time)
    joined = tuple(waiting[layer.name].popleft() if waiting[layer.name] else LayerTime(0, 0) for layer in layers)
    left = sum(map(len, waiting.values()))
    if left > len(times) / 2:
        raise EngineError(
            f"{left} of {len(times)} layer times belong to no layer of the engine.",
            "Layers and times must come from the same build; profile the engine again.",
        )
    return joined


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EngineError(f"{file} cannot be read as JSON: {error}.", "Write it again.") from error
