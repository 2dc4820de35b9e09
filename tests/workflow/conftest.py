"""A tiny detector, photos with boxes, and what a workflow is told of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import onnx
import pytest

from detrt.detector import Detector
from detrt.images.read import read_photo
from detrt.workflow.options import WorkflowOptions, options_from
from tests.quantize.toy import drawn_photos
from tests.workflow.pebble import NAMES, pebble


class Material(NamedTuple):
    """What a workflow takes."""

    model: Path
    calib: Path
    annotations: Path
    images: Path

    def options(self, **changes: Any) -> WorkflowOptions:
        """A short workflow without engines, which take longer to build than all the rest."""
        told = {
            "model": self.model, "calib": str(self.calib), "annotations": self.annotations, "images": self.images,
            "precisions": "fp32,int8", "target_drop": 5, "seconds": 0.02, "skip": "build",
        }  # fmt: skip
        return options_from(told, changes)

    def arguments(self, output: Path) -> list[str]:
        """The same as words of the command line, with nothing timed."""
        words = ["workflow", self.model, "--calib", self.calib, "--annotations", self.annotations]
        words += ["--images", self.images, "--precisions", "fp32,int8", "--target-drop", 5, "--skip", "build,time"]
        return [str(word) for word in (*words, "-o", output)]


@pytest.fixture(scope="session")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    """The detector, photos to calibrate on, and a COCO set whose boxes are what it finds itself."""
    folder = tmp_path_factory.mktemp("material")
    onnx.save(pebble(), folder / "pebble.onnx")
    images = drawn_photos(folder / "val", 8)
    content: dict[str, Any] = {"images": [], "annotations": []}
    content["categories"] = [{"id": 10 * label, "name": name} for label, name in enumerate(NAMES, start=1)]
    with Detector.open(folder / "pebble.onnx") as detector:
        for number, path in enumerate(sorted(images.iterdir()), start=1):
            content["images"].append({"id": number, "file_name": path.name})
            for row in detector(read_photo(path)).to_coco(number, (10, 20))[:3]:
                content["annotations"].append(row | {"id": len(content["annotations"]) + 1})
    (folder / "instances.json").write_text(json.dumps(content))
    return Material(folder / "pebble.onnx", drawn_photos(folder / "calib", 4), folder / "instances.json", images)


@pytest.fixture(scope="session")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nothing that an earlier run has cached may make a test pass."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def use_own_cache(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DETRT_CACHE", str(own_cache))
