"""What an engine's papers must be to be taken for papers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from detrt.engine.builder import build_engine
from detrt.engine.manifest import manifest_of, manifest_path
from detrt.engine.options import BuildOptions
from detrt.errors import EngineError


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("version", 3),
        ("onnx", None),
        ("metadata", []),
        ("metadata", {"detrt.color": 1}),
        ("compute_capabilities", [None]),
        ("arguments", [1]),
        ("profile", {"images": [[1e400]]}),
        ("inputs", [3]),
    ],
)
def test_a_value_of_another_kind_is_damage(tiny: Path, tmp_path: Path, name: str, value: Any) -> None:
    engine = build_engine(tiny, tmp_path / "tiny.engine", BuildOptions(precision="fp32")).engine
    papers = json.loads(manifest_path(engine).read_text(encoding="utf-8"))
    manifest_path(engine).write_text(json.dumps(papers | {name: value}), encoding="utf-8")
    with pytest.raises(EngineError, match="is damaged"):
        manifest_of(engine)
