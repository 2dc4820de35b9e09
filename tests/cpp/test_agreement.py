"""The C++ library answers as Python does."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from onnx import numpy_helper
from onnx.external_data_helper import set_external_data

from detrt.benchmark.report import load_report
from detrt.benchmark.timings import Round, Subject, timings_from
from detrt.coco_names import COCO_NAMES
from detrt.contract import ModelContract, ResizeRule, contract_from_metadata
from detrt.decoding import decode
from detrt.engine.admission import refuse_foreign_gpu
from detrt.engine.manifest import manifest_of
from detrt.errors import ImageError
from detrt.files import name_of
from detrt.graph.onnx_file import input_specs, output_specs, save, sha256_of_model, with_contract
from detrt.images.resize import place
from detrt.images.sources import PhotoPixels
from detrt.pipeline import Outcome
from detrt.runtime.cuda import CudaGpu
from detrt.signature import TensorSpec, contract_from_signature
from detrt.sinks import json_row
from tests import tiny
from tests.cpp.conftest import Peer, refusal
from tests.cpp.papers import CONTRACT, papers


def told(contract: ModelContract) -> dict[str, Any]:
    """The contract as the peer tells one."""
    values = {field.name: getattr(contract, field.name) for field in fields(contract)}
    for name in ("source_sha256", "calibration", "assumed"):  # nothing in C++ needs them
        del values[name]
    rule = values["resize"]
    values["resize"] = [rule.mode, rule.antialias, rule.pad]
    return json.loads(json.dumps(values))  # type: ignore[no-any-return]


def spec_rows(specs: tuple[TensorSpec, ...]) -> list[Any]:
    return [[spec.name, [-1 if axis is None else axis for axis in spec.shape], spec.dtype] for spec in specs]


def test_contracts(peer: Peer) -> None:
    for contract in (CONTRACT, ModelContract((320, 640), class_names=COCO_NAMES)):
        assert peer("contract", metadata=contract.to_metadata()) == told(contract)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("contract", "2"),
        ("input_size", "[0, 48]"),
        ("output_form", '"boxes"'),
        ("outputs", '{"logits": "a"}'),
        ("resize", '{"mode": "crop"}'),
        ("resize", '{"pad": 256}'),
        ("color", '"CMYK"'),
        ("std", "[1.0, 0.5, 0.0]"),
    ],
)
def test_contracts_that_cannot_be_are_refused_in_the_same_words(peer: Peer, key: str, value: str) -> None:
    metadata = CONTRACT.to_metadata() | {f"detrt.{key}": value}
    ours = refusal(partial(contract_from_metadata, metadata))
    assert ours
    assert refusal(partial(peer, "contract", metadata=metadata)) == ours


@pytest.mark.parametrize("drop", ["", "labels", "images", "orig_target_sizes", "everything"])
def test_foreign_models(peer: Peer, drop: str) -> None:
    model = tiny.deploy_model()
    inputs = tuple(spec for spec in input_specs(model) if spec.name != drop)
    outputs = tuple(spec for spec in output_specs(model) if drop not in (spec.name, "everything"))
    asked = {"inputs": spec_rows(inputs), "outputs": spec_rows(outputs)}
    if not drop:
        ours = contract_from_signature(inputs, outputs, class_names=COCO_NAMES)
        assert peer("signature", **asked) == told(ours)
        return
    refused = refusal(partial(contract_from_signature, inputs, outputs, class_names=COCO_NAMES))
    assert refused
    assert refusal(partial(peer, "signature", **asked)) == refused


def test_onnx_files(peer: Peer, tmp_path: Path) -> None:
    model = with_contract(tiny.deploy_model(), ModelContract(tiny.SIZE))
    save(model, tmp_path / "m.onnx")
    found = peer("onnx", path=tmp_path / "m.onnx")
    assert found["inputs"] == spec_rows(input_specs(model))
    assert found["outputs"] == spec_rows(output_specs(model))
    assert found["metadata"] == {entry.key: entry.value for entry in model.metadata_props}


def test_models_are_known_by_their_weights_wherever_they_lie(peer: Peer, tmp_path: Path) -> None:
    model, path = tiny.deploy_model(), tmp_path / "m.onnx"
    constant = model.graph.node.add(op_type="Constant", output=["nine"]).attribute.add(name="value")
    constant.t.CopyFrom(numpy_helper.from_array(np.ones(9, np.float32)))
    set_external_data(model.graph.initializer[0], "a.data")
    set_external_data(constant.t, "b.data")
    path.write_bytes(model.SerializeToString())
    known = []
    for name, content in (("a", b"1"), ("b", b"1"), ("a", b"2"), ("b", b"2")):
        (tmp_path / f"{name}.data").write_bytes(content)
        known.append(peer("onnx", path=path)["sha256"])
        assert known[-1] == sha256_of_model(path)
    assert len(set(known)) == 4


def test_manifests(peer: Peer, tmp_path: Path) -> None:
    engine, again = tmp_path / "m.engine", tmp_path / "again.engine"
    for manifest in (papers(), papers(capabilities=("12.0", "8.9")), papers(metadata={})):
        manifest.save(engine)
        known = manifest.contract or contract_from_signature(manifest.inputs, manifest.outputs, class_names=COCO_NAMES)
        assert peer("manifest", path=engine) == {
            "needs": manifest.needs,
            "rebuild": manifest.rebuild_command(engine),
            "contract": told(known),
        }
        peer("save", path=engine, into=again)
        assert asdict(manifest_of(again)) == asdict(manifest)


@pytest.mark.parametrize("capability", ["7.5", "8.0", "8.9", "9.0", "12.0"])
def test_which_gpus_may_run_an_engine(peer: Peer, tmp_path: Path, capability: str) -> None:
    engine = tmp_path / "m.engine"
    gpu = CudaGpu(0, "a GPU", capability, "13.0", 1)
    for manifest in (papers(), papers(capabilities=("8.9",))):
        manifest.save(engine)
        ours = refusal(partial(refuse_foreign_gpu, manifest, engine, gpu))
        assert refusal(partial(peer, "gpu", path=engine, name=gpu.name, capability=capability)) == ours


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=some.integers(0, 2**32 - 1), raw=some.booleans(), letterbox=some.booleans(), half=some.booleans())
def test_decoding_and_json(peer: Peer, tmp_path: Path, seed: int, raw: bool, letterbox: bool, half: bool) -> None:
    rng = np.random.default_rng(seed)
    queries, photos = int(rng.integers(1, 9)), [(30, 70), (480, 640), (7, 3)]
    contract = ModelContract(
        (32, 48),
        output_form="raw" if raw else "detections",
        sizes_name=None if raw else "sizes",
        resize=ResizeRule("letterbox" if letterbox else "stretch"),
        class_names=("a", "b"),
        top_k=10,
    )
    outputs: dict[str, npt.NDArray[Any]] = {"boxes": rng.random((3, queries, 4), np.float32)}
    if raw:
        outputs["logits"] = rng.normal(0, 3, (3, queries, 3)).astype(np.float16 if half else np.float32)
    else:
        outputs["boxes"] *= 100
        outputs["scores"] = rng.random((3, queries)).astype(np.float16 if half else np.float32)
        outputs["labels"] = rng.integers(0, 4, (3, queries)).astype(np.int64)
    for name, value in outputs.items():
        (tmp_path / name).write_bytes(value.tobytes())
    lines = peer(
        "decode",
        metadata=contract.to_metadata(),
        photos=photos,
        outputs={name: [tmp_path / name, value.shape, value.dtype.name] for name, value in outputs.items()},
    )
    placements = [place(size, contract.input_size, contract.resize) for size in photos]
    for line, found, size in zip(lines, decode(contract, outputs, placements), photos, strict=True):
        item = PhotoPixels(np.zeros((1, 1, 3), np.uint8), "photo")
        ours = orjson.loads(orjson.dumps(json_row(Outcome(item, size, None, found), contract.class_names)))
        theirs = json.loads(line)
        assert list(theirs) == list(ours)
        assert len(theirs["detections"]) == len(ours["detections"])
        if len({row["score"] for row in ours["detections"]}) < len(ours["detections"]):
            continue  # rows of one score have no order
        for one, other in zip(theirs["detections"], ours["detections"], strict=True):
            assert list(one) == list(other)
            assert one["label"] == other["label"]
            assert one["score"] == pytest.approx(
                other["score"], abs=1.1e-5
            )  # exp in float32 may differ in its last bit
            assert one["box"] == pytest.approx(other["box"], abs=0.011)


@pytest.mark.parametrize("name", [b"a\xff.jpg", b"\xe2\x82.jpg", b"\xf0\x80\x80", "ä ✓.jpg".encode(), b"\xc3"])
def test_names_that_are_no_utf_8(peer: Peer, name: bytes) -> None:
    item = PhotoPixels(np.zeros((1, 1, 3), np.uint8), name_of(Path(os.fsdecode(name))))
    error = ImageError("It is no photo.", "Give one.")
    ours = orjson.dumps(json_row(Outcome(item, error=error)))
    line = peer("line of error", name=list(name), error=list(str(error).encode()))
    assert json.loads(line) == orjson.loads(ours)


@pytest.mark.parametrize(("streams", "clocks"), [(1, [1980, 1755]), (3, [])])
def test_benchmark_reports(peer: Peer, tmp_path: Path, streams: int, clocks: list[int]) -> None:
    rng = np.random.default_rng(streams)
    rounds = [Round(tuple(rng.random(9 + turn).tolist()), float(rng.random() * 9)) for turn in range(5)]
    asked = [[list(turn.runs), turn.wall] for turn in rounds]
    text = peer("report", rounds=asked, streams=streams, batch=4, clocks=clocks)
    (tmp_path / "bench.json").write_text(text)
    report = load_report(tmp_path / "bench.json")
    subject = Subject("m.engine", "TensorRT, C++", "fp16", "cuda:0", "engine", 4, True, streams)
    ours = asdict(timings_from(subject, rounds, clocks=clocks, warm_up_runs=7, settled=False))
    theirs = asdict(report.rows[0])
    assert theirs.pop("subject") == ours.pop("subject")
    assert theirs.pop("clocks_mhz") == ours.pop("clocks_mhz")
    assert theirs.pop("rounds") == pytest.approx(ours.pop("rounds"))
    assert theirs == pytest.approx(ours)
