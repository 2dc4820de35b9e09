"""Which model ships, for findings whose answer is plain."""

from __future__ import annotations

from dataclasses import replace

import pytest

from detrt.report.findings import Model, StepLine
from detrt.report.verdict import judge, signed, speed_up
from tests.report.made_up import findings, model


def ships(*models: Model) -> str:
    chosen = judge(findings(*models)).ships
    return chosen.name if chosen else ""


@pytest.mark.parametrize(
    ("fp16", "fp8", "expected"),
    [
        ((31.15, 0.5), (31.0, 0.4), "FP8 engine"),  # both keep their AP: the faster
        ((31.15, 0.5), (30.8, 0.4), "FP16 engine"),  # FP8 loses 0.4, where 0.3 may be lost
        ((31.15, 0.5), (31.1, 0.496), "FP16 engine"),  # 1 % faster is as fast: the wider
        ((29.0, 0.5), (28.0, 0.4), "FP32 engine"),
        ((31.15, 0.5), (31.1, 0.6), "FP16 engine"),
    ],
)
def test_the_fastest_that_keeps_its_accuracy(
    fp16: tuple[float, float], fp8: tuple[float, float], expected: str
) -> None:
    engines = model("fp32", "engine", 31.2, 0.9), model("fp16", "engine", *fp16), model("fp8", "engine", *fp8)
    assert ships(*engines) == expected


def test_engines_come_before_onnx_files_and_those_count_where_there_are_none() -> None:
    quantised = model("int8", "onnx", 31.1, 20.0)
    assert ships(quantised, model("fp16", "engine", 31.1, 0.5)) == "FP16 engine"
    assert ships(quantised, model("fp16", "engine", None)) == "INT8 ONNX"


def test_untimed_models_are_ranked_by_accuracy_and_that_is_said() -> None:
    verdict = judge(findings(model("int8", "onnx", 31.0), model("fp8", "onnx", 31.1)))
    assert verdict.ships is not None
    assert verdict.ships.name == "FP32 ONNX"
    assert any("not the fastest" in caution for caution in verdict.cautions)


def test_nothing_ships_that_lost_too_much() -> None:
    verdict = judge(findings(model("fp16", "engine", 20.0, 0.5)))
    assert verdict.ships is None
    assert "none" in verdict.headline
    assert "−11.20" in verdict.reasons[0]


def test_without_a_score_there_is_no_verdict() -> None:
    told = findings(model("fp16", "engine", None))
    unscored = replace(told, models=(replace(told.reference, figures={}), *told.models[1:]), photos=0)
    assert judge(unscored).ships is None
    assert "nothing was scored" in judge(unscored).headline


def test_reasons_name_what_was_faster_and_lost() -> None:
    engines = model("fp32", "engine", 31.2, 0.9), model("fp16", "engine", 31.1, 0.5), model("fp8", "engine", 30.0, 0.4)
    verdict = judge(findings(*engines))
    assert any("FP8 engine is faster, but loses 1.20 AP" in reason for reason in verdict.reasons)
    assert verdict.notes["FP8 engine"] == "loses 1.20 AP"
    assert verdict.notes["FP32 engine"] == "1.80 × the time"
    gained = speed_up(engines[1], engines)
    assert gained is not None
    assert gained[0] == pytest.approx(1.8)
    assert gained[1] is engines[0]


def test_cautions_name_what_the_verdict_does_not_stand_on() -> None:
    steps = (
        StepLine("build int8 engine", "failed", "it broke", 1.0, ""),
        StepLine("score fp16 engine", "impossible", "there is no GPU here", 0.0, ""),
    )
    cautions = " ".join(judge(findings(model("fp16", "engine", None), steps=steps)).cautions)
    assert "No engine was judged here (there is no GPU here)" in cautions
    assert "build int8 engine" in cautions
    assert "535 photos have an AP of their own" in cautions


@pytest.mark.parametrize(("ap", "error", "is_close"), [(31.0, 0.1, True), (30.0, 0.1, False), (31.0, None, False)])
def test_what_too_few_photos_leave_open_is_said(ap: float, error: float | None, is_close: bool) -> None:
    verdict = judge(findings(replace(model("fp16", "engine", ap, 0.5), error=error)))
    assert any("Too close to call on 535 photos" in caution for caution in verdict.cautions) == is_close
    assert any(" ± 0.10" in reason for reason in verdict.reasons) == (error is not None)


def test_times_of_a_busy_machine_are_called_rough() -> None:
    engine = model("fp16", "engine", 31.1, 0.5)
    restless = replace(engine, times={"engine": replace(engine.times["engine"], spread=0.3)})
    assert any("30 % apart" in caution for caution in judge(findings(restless)).cautions)
    assert not any("apart" in caution for caution in judge(findings(engine)).cautions)


def test_an_engine_far_below_its_own_onnx_file_was_broken_by_the_builder() -> None:
    verdict = judge(findings(model("int8", "onnx", 31.0), model("int8", "engine", 1.1, 0.4)))
    assert any("detrt repair model.int8.onnx" in caution for caution in verdict.cautions)


def test_signs_are_typographic() -> None:
    assert [signed(value) for value in (-0.051, 0.2)] == ["−0.05", "+0.20"]
