"""Debug tensors go into a network, and a wrong name is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from detrt.engine.builder import build_engine
from detrt.engine.options import BuildOptions
from detrt.errors import EngineError
from detrt.graph.onnx_file import save
from tests import tiny


def test_an_engine_with_debug_tensors_is_another_engine(tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx")
    save(tiny.deploy_model(batch=1), tmp_path / "model.onnx")
    plain = build_engine(tmp_path / "model.onnx", tmp_path / "a.engine", BuildOptions(precision="fp32"))
    shown = build_engine(
        tmp_path / "model.onnx", tmp_path / "b.engine", BuildOptions(precision="fp32", debug_tensors=("mean",))
    )
    assert shown.manifest.fingerprint != plain.manifest.fingerprint
    assert shown.manifest.outputs == plain.manifest.outputs
    unfused = build_engine(
        tmp_path / "model.onnx", tmp_path / "d.engine", BuildOptions(precision="fp32", debug_tensors="unfused")
    )
    assert unfused.manifest.fingerprint not in (plain.manifest.fingerprint, shown.manifest.fingerprint)
    with pytest.raises(EngineError, match="tensor meen cannot"):
        build_engine(tmp_path / "model.onnx", tmp_path / "c.engine", BuildOptions(debug_tensors=("meen",)))
