"""Which file is opened, and what is said of those that are not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from detrt.errors import ModelError
from detrt.graph.onnx_file import save
from detrt.runtime.open import open_runtime
from tests import tiny


@pytest.mark.parametrize("name", ["model.onnx", "model.engine"])
def test_a_model_that_may_not_be_read_is_not_called_damaged(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tiny.deploy_model(), tmp_path / name)
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.R_OK)  # root, who may run the tests, may read all
    with pytest.raises(ModelError, match=rf"{name} cannot be read: permission denied"):
        open_runtime(tmp_path / name)
