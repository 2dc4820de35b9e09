"""The whole road with the checkpoint that is part of the package: weights, export, AP, engine."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tools.train_shapes.judge import write_validation
from tools.train_shapes.outlines import CLASSES
from tools.train_shapes.score import scores_of_checkpoint

from detrt.detector import Detector
from detrt.engine.builder import build_engine
from detrt.engine.options import BuildOptions
from detrt.evaluate import coco_dataset, evaluate
from detrt.files import sha256_of
from detrt.graph.export_file import export_checkpoint
from detrt.models.registry import embedded_folder, model_of_name, resolve_model

PICTURES = 16
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def checkpoint() -> Path:
    return resolve_model("shapes")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn")
    write_validation(folder, PICTURES)
    return folder


@pytest.fixture(scope="module")
def exported(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_checkpoint(checkpoint, tmp_path_factory.mktemp("exported") / "shapes.onnx").path


def test_file_is_the_one_that_the_registry_describes(checkpoint: Path) -> None:
    model = model_of_name("shapes")
    assert checkpoint == embedded_folder() / model.file
    assert (sha256_of(checkpoint), checkpoint.stat().st_size) == (model.sha256, model.size)
    assert checkpoint.stat().st_size < 8e6


def test_package_holds_it() -> None:
    """A build leaves out what git ignores, and git ignores checkpoints elsewhere."""
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert ignored.index("*.pth") < ignored.index("!/src/detrt/models/embedded/*.pth")
    assert re.search(r'artifacts = \["src/detrt/models/embedded/\*\.pth"\]', (ROOT / "pyproject.toml").read_text())


def test_pytorch_and_onnx_runtime_reach_the_same_ap(
    checkpoint: Path, exported: Path, pictures: Path, tmp_path: Path
) -> None:
    dataset = coco_dataset(pictures / "instances_val.json", pictures / "val")
    in_torch = scores_of_checkpoint(checkpoint, pictures, None, None)
    with Detector.open(exported) as detector:
        assert detector.contract.class_names == CLASSES
        in_onnx = evaluate(detector, dataset, journal=tmp_path / "journal").scores
    assert in_torch.ap > 60
    assert abs(in_torch.ap - in_onnx.ap) < 0.2


def test_tensorrt_rtx_builds_it_in_half_precision(exported: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx")
    built = build_engine(exported, tmp_path / "shapes.engine", BuildOptions(precision="fp16", targets=("8.9",)))
    assert built.manifest.contract is not None
    assert built.manifest.contract.class_names == CLASSES
    assert built.engine.stat().st_size > 1 << 20
