from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from detrt.cli import main as _main  # noqa: F401  (registers the commands)
from detrt.cli.app import app
from detrt.contract import ModelContract
from detrt.errors import CheckpointError, GraphError
from detrt.graph.agreement import Array, drawn_picture, match, require_agreement
from detrt.graph.export import ExportOptions, onnx_from_model
from detrt.graph.onnx_file import contract_from_onnx, load
from detrt.models.rtdetrv2 import RTDETRv2
from detrt.models.variants import R18VD
from tests.models.seeded import SMALL, seeded_model

Found = tuple[Array, Array, Array]


@pytest.fixture
def found() -> Found:
    generator = np.random.default_rng(0)
    boxes = generator.uniform(0, 640, (300, 4)).astype(np.float32)
    return generator.integers(0, 80, 300), boxes, np.sort(generator.random(300).astype(np.float32))[::-1]


def test_order_does_not_matter(found: Found) -> None:
    order = np.random.default_rng(1).permutation(300)
    labels, boxes, scores = (part[order] for part in found)
    agreement = match(found, (labels, boxes, scores), 640)
    assert agreement.holds
    assert (agreement.matched, agreement.score_error, agreement.box_error) == (300, 0, 0)


@pytest.mark.parametrize(("part", "change"), [(0, 1), (1, 3.0), (2, 0.01)])
def test_another_label_box_or_score_is_seen(found: Found, part: int, change: float) -> None:
    changed = [each.copy() for each in found]
    changed[part][5] += change
    agreement = match(found, (changed[0], changed[1], changed[2]), 640)
    assert not agreement.holds
    assert agreement.matched == 299
    assert agreement.missed_score == found[2][5]


def test_one_detection_is_no_partner_for_two(found: Found) -> None:
    labels, boxes, scores = (part.copy() for part in found)
    for part in (labels, boxes, scores):
        part[1] = part[0]
    assert match((labels, boxes, scores), found, 640).matched == 299


def test_last_place_may_go_to_a_tie(found: Found) -> None:
    labels, boxes, scores = (part.copy() for part in found)
    boxes[-1] += 50
    assert match(found, (labels, boxes, scores), 640).holds


@pytest.mark.parametrize("options", [ExportOptions(), ExportOptions(batch=None), ExportOptions(output="raw")])
def test_right_export_agrees(options: ExportOptions) -> None:
    model, exported, contract = made(options)
    agreement = require_agreement(model, exported, contract, drawn_picture())
    assert agreement.matched >= 0.99 * SMALL.queries


def test_wrong_export_is_refused() -> None:
    model, exported, contract = made(ExportOptions())
    state = model.state_dict()
    state["decoder.dec_bbox_head.1.layers.2.bias"].add_(0.05)
    with pytest.raises(GraphError, match="have no partner"):
        require_agreement(model, exported, contract, drawn_picture())


def made(options: ExportOptions) -> tuple[RTDETRv2, onnx.ModelProto, ModelContract]:
    model = seeded_model(SMALL)
    contract = ModelContract(
        input_size=SMALL.size,
        output_form=options.output,
        sizes_name="orig_target_sizes" if options.output == "detections" else None,
        top_k=SMALL.queries,
    )
    return model, onnx_from_model(model, contract, options), contract


def test_command_writes_a_model_that_knows_itself(tmp_path: Path) -> None:
    torch.save({"model": seeded_model(R18VD).state_dict()}, tmp_path / "r18.pth")
    Image.fromarray(drawn_picture(90, 70)).save(tmp_path / "photo.png")
    command = f"export {tmp_path}/r18.pth -o {tmp_path}/r18.onnx --size 128x160 --photo {tmp_path}/photo.png"
    result = CliRunner().invoke(app, command.split(), catch_exceptions=False)
    assert result.exit_code == 0
    assert "r18vd, 128x160, batch 1, detections" in result.output
    contract = contract_from_onnx(load(tmp_path / "r18.onnx"))
    assert contract is not None
    assert (contract.family, contract.variant, contract.input_size) == ("rtdetrv2", "r18vd", (128, 160))
    assert contract.class_names[0] == "person"
    assert len(contract.source_sha256) == 64


def test_command_leaves_nothing_where_weights_do_not_fit(tmp_path: Path) -> None:
    torch.save({"model": {"weight": torch.zeros(1)}}, tmp_path / "other.pth")
    with pytest.raises(CheckpointError):
        CliRunner().invoke(app, f"export {tmp_path}/other.pth -o {tmp_path}/m.onnx".split(), catch_exceptions=False)
    assert [file.name for file in tmp_path.iterdir()] == ["other.pth"]
