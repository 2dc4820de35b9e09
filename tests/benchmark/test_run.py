from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from detrt.benchmark.machine import this_machine
from detrt.benchmark.photos import batches, input_sets, made_photo, photos_from
from detrt.benchmark.report import load_report
from detrt.benchmark.run import benchmark
from detrt.benchmark.subjects import cases_of, open_case
from detrt.benchmark.turns import Pace
from detrt.contract import ModelContract
from detrt.errors import DatasetError, ImageError, ModelError, UsageError
from detrt.models.rtdetrv2 import RTDETRv2
from detrt.models.variants import variant_named

SHORT = Pace(seconds=0.01, warm_up=0.01)


def test_engine_and_infer_of_a_real_detector_go_to_a_file_and_back(atto: Path, tmp_path: Path) -> None:
    told: list[str] = []
    cases = cases_of([str(atto)], protocols=["engine", "infer"], batch_sizes=[1, 2])
    report = benchmark(cases, pace=SHORT, command=["detrt", "bench"], progress=lambda stage, *_: told.append(stage))
    assert [(row.subject.protocol, row.subject.batch) for row in report.rows] == [
        ("engine", 1),
        ("engine", 2),
        ("infer", 1),
        ("infer", 2),
    ]
    assert report.complete
    assert list(dict.fromkeys(told)) == ["Loading", "Warming up", "Timing"]
    for row in report.rows:
        assert 0 < row.minimum <= row.p50 <= row.p90 <= row.p99
        assert row.runs >= 15
        assert row.subject.device == "cpu"
        assert row.subject.graph is None
        assert row.images_per_second == pytest.approx(1e3 * row.subject.batch / row.mean)
    report.save(tmp_path / "bench.json")
    assert load_report(tmp_path / "bench.json") == report
    assert json.loads((tmp_path / "bench.json").read_text())["photos"] == "made"


def test_infer_gives_what_the_detector_gives_and_takes_batches_in_turn(atto: Path) -> None:
    photos = [made_photo(seed) for seed in range(3)]
    with open_case(cases_of([str(atto)], protocols=["infer"], streams=[2])[0], photos) as timeable:
        assert len(timeable.time(4).runs) == 4
        assert timeable.subject.streams == 2


def test_model_that_cannot_be_opened_is_left_out_with_a_reason(atto: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.onnx").write_bytes(atto.read_bytes()[:1000])
    report = benchmark(cases_of([str(tmp_path / "cut.onnx"), str(atto)]), pace=SHORT)
    assert [row.subject.model for row in report.rows] == [atto.name]
    assert len(report.failures) == 1
    assert "cut.onnx" in report.failures[0]


def test_nothing_that_can_be_opened_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"nowhere\.onnx"):
        benchmark(cases_of([str(tmp_path / "nowhere.onnx")]), pace=SHORT)


def test_pytorch_is_timed_by_the_same_loop(tmp_path: Path) -> None:
    checkpoint = tmp_path / "r18vd.pth"
    torch.save({"model": RTDETRv2(variant_named("r18vd")).state_dict()}, checkpoint)
    (case,) = cases_of([str(checkpoint)], precisions=["fp32"])
    with open_case(case, [made_photo(0)]) as timeable:
        assert len(timeable.time(1).runs) == 1
        assert "PyTorch" in timeable.subject.runtime
        assert timeable.subject.precision == "fp32"


@pytest.mark.parametrize(
    ("model", "runtimes", "expected"),
    [
        ("m.onnx", [], ["onnxruntime-cpu"]),
        ("m.engine", [], ["tensorrt"]),
        ("m.onnx", ["onnxruntime-cuda", "onnxruntime-cpu", "torch"], ["onnxruntime-cpu", "onnxruntime-cuda"]),
        ("random:r18vd", ["torch-compiled"], ["torch-compiled"]),
    ],
)
def test_runtime_follows_the_suffix(model: str, runtimes: list[str], expected: list[str]) -> None:
    assert [case.runtime for case in cases_of([model], runtimes=runtimes)] == expected


def test_graphs_multiply_engines_only() -> None:
    cases = cases_of(["m.engine", "m.onnx"], graphs=[True, False], batch_sizes=[1, 8])
    assert [(case.model, case.batch, case.graph) for case in cases] == [
        ("m.engine", 1, True),
        ("m.engine", 1, False),
        ("m.engine", 8, True),
        ("m.engine", 8, False),
        ("m.onnx", 1, True),
        ("m.onnx", 8, True),
    ]


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("m.txt", {}),
        ("m.onnx", {"runtimes": ["tensorrt"]}),
        ("m.onnx", {"runtimes": ["onnx"]}),
        ("m.onnx", {"protocols": ["wall"]}),
    ],
)
def test_what_makes_no_sense_is_refused(model: str, options: dict[str, list[str]]) -> None:
    with pytest.raises(UsageError):
        cases_of([model], **options)  # type: ignore[arg-type]


def test_made_photos_are_always_the_same_and_differ() -> None:
    assert np.array_equal(made_photo(1), made_photo(1))
    assert not np.array_equal(made_photo(1), made_photo(2))
    assert made_photo(0).shape == (480, 640, 3)
    assert len(photos_from(None)) == 8


def test_folder_without_photos_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError):
        photos_from(tmp_path)


def test_batches_take_photos_in_turn() -> None:
    photos = [made_photo(seed) for seed in range(3)]
    chosen = batches(photos, 2, 3)
    assert [[_which(one, photos) for one in batch] for batch in chosen] == [
        [0, 1],
        [2, 0],
        [1, 2],
    ]


def test_input_sets_differ_and_outgrow_a_cache() -> None:
    contract = ModelContract((640, 640))
    sets = input_sets(contract, photos_from(None), 1)
    assert sum(feeds["images"].nbytes for feeds in sets) >= 64 << 20
    assert sets[0]["images"].shape == (1, 3, 640, 640)
    assert sets[0]["orig_target_sizes"].tolist() == [[640, 480]]
    assert not np.array_equal(sets[0]["images"], sets[1]["images"])
    assert len(input_sets(contract, photos_from(None), 32)) == 2


def test_machine_tells_what_it_knows() -> None:
    machine = this_machine()
    assert machine.facts["cpu"]
    assert {"detrt", "onnxruntime", "numpy"} <= machine.versions.keys()


def test_damaged_report_is_named(tmp_path: Path) -> None:
    (tmp_path / "bench.json").write_text("[]")
    with pytest.raises(DatasetError, match=r"bench\.json"):
        load_report(tmp_path / "bench.json")


def _which(photo: object, photos: list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]) -> int:
    return next(number for number, one in enumerate(photos) if one is photo)
