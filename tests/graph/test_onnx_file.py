"""What identifies a model's file."""

from __future__ import annotations

from pathlib import Path

import onnx

from detrt.files import sha256_of
from detrt.graph.onnx_file import sha256_of_model
from tests import tiny


def test_weights_beside_the_file_count(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(tiny.deploy_model(), path, save_as_external_data=True, location="weights", size_threshold=0)
    before, alone = sha256_of_model(path), sha256_of(path)
    weights = bytearray((tmp_path / "weights").read_bytes())
    weights[-1] ^= 1
    (tmp_path / "weights").write_bytes(weights)
    assert sha256_of(path) == alone
    assert sha256_of_model(path) != before


def test_what_is_damaged_or_lacks_its_weights_has_a_hash_too(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(tiny.deploy_model(), path, save_as_external_data=True, location="weights", size_threshold=0)
    (tmp_path / "weights").unlink()
    assert sha256_of_model(path) == sha256_of(path)
    path.write_bytes(b"no model")
    assert sha256_of_model(path) == sha256_of(path)
