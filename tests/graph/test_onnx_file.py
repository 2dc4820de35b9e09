"""Reading a model's file, and what identifies it."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from detrt.errors import ModelError
from detrt.files import sha256_of
from detrt.graph.onnx_file import load, save, sha256_of_model
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


def test_a_model_that_may_not_be_read_is_not_called_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:  # as the system does, but not to root, who may run the tests
        raise PermissionError(13, "Permission denied", str(path))

    path = tmp_path / "model.onnx"
    save(tiny.deploy_model(), path)
    monkeypatch.setattr(onnx, "load", refuse)
    with pytest.raises(ModelError, match=r"model\.onnx cannot be read: Permission denied"):
        load(path)


def test_a_model_without_its_weights_is_told_what_it_lacks(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(tiny.deploy_model(), path, save_as_external_data=True, location="weights", size_threshold=0)
    (tmp_path / "weights").unlink()
    with pytest.raises(ModelError, match=r"The weights of .*model\.onnx cannot be read: .*/weights"):
        load(path)
