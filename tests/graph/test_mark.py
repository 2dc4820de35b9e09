"""Marking inner tensors as outputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from detrt.detector import Detector
from detrt.errors import GraphError
from detrt.graph.mark import Mark
from detrt.graph.onnx_file import load, save
from detrt.images.sources import Photo
from tests import tiny


def test_original_outputs_stay_first_and_as_they_were() -> None:
    model = tiny.deploy_model()
    marked, changed = Mark(["lift", "mean_row"])(model)
    assert changed
    onnx.checker.check_model(marked, full_check=True)
    assert [value.name for value in marked.graph.output] == ["labels", "boxes", "scores", "mean_row", "lift"]
    for before, after in zip(model.graph.output, marked.graph.output, strict=False):
        assert after == before
    assert [value.name for value in model.graph.output] == ["labels", "boxes", "scores"]


def test_patterns_and_node_names() -> None:
    model = tiny.deploy_model()
    model.graph.node[0].name = "/pool/ReduceMean"
    found = Mark(["/pool/*", "*_row"])(model).model
    assert [value.name for value in found.graph.output[3:]] == ["mean", "mean_row", "whwh_row", "zero_row"]


def test_what_is_an_output_already_is_not_added_again() -> None:
    model = tiny.deploy_model()
    same, changed = Mark(["scores"])(model)
    assert not changed
    assert same is model


def test_an_unknown_name_says_what_comes_close() -> None:
    with pytest.raises(GraphError, match="base_scoresx") as error:
        Mark(["base_scoresx", "mean"])(tiny.deploy_model())
    assert "scores" in error.value.remedy


def test_a_detector_finds_the_same_with_marks(femto: Path, shared: Path, tmp_path: Path) -> None:
    """The real detector with six marked tensors: same detections, in one run and in batches."""
    marked, _ = Mark(["*/cross_attn/sampling_offsets/Add", "*/cross_attn/attention_weights/Add"])(load(femto))
    save(marked, tmp_path / "marked.onnx")
    photos = [Photo(path).pixels() for path in sorted((shared / "coco" / "val").glob("*.jpg"))[:2]]
    with Detector.open(femto, device="cpu") as plain, Detector.open(tmp_path / "marked.onnx", device="cpu") as detector:
        assert len(detector.runtime.outputs) == 9
        assert detector.contract == plain.contract
        for one, other in zip(plain.detect(photos), detector.detect(photos), strict=True):
            np.testing.assert_allclose(other.scores, one.scores, atol=1e-5)
            np.testing.assert_allclose(other.boxes, one.boxes, atol=0.05)
