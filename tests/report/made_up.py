"""Findings as a workflow could have made them: the numbers are made up, and nothing is claimed of any model."""

from __future__ import annotations

from dataclasses import replace

from detrt.report.findings import (
    Command,
    Difference,
    EngineGroups,
    Findings,
    GroupLoss,
    Model,
    Quantization,
    StepLine,
    Time,
)

GROUPS = ("stem", "stage 1", "stage 2", "CCFF", "query selection", "value_proj", "sampling_offsets", "FFN", "heads")


def model(precision: str, form: str, ap: float | None, milliseconds: float | None = None) -> Model:
    """A model; without an AP it was not scored, without milliseconds not timed."""
    time = {
        name: Time(factor * milliseconds, 1.1 * factor * milliseconds, 1.3 * factor * milliseconds, 1e3 / milliseconds)
        for name, factor in (("engine", 1.0), ("infer", 1.8), ("e2e", 3.0))
        if milliseconds
    }
    difference = Difference("same", "agreement 99.1 %, closeness 0.990", 0.991, 0.99, 900, 4, 4, 0.003, 0.4)
    suffix = "engine" if form == "engine" else "onnx"
    return Model(
        precision=precision,
        form="engine" if form == "engine" else "ONNX",
        file=f"model.{precision}.{suffix}",
        bytes=4_100_000,
        recipe="safe, 80.0 % of the MACs" if precision in ("int8", "fp8") else "",
        runtime=("TensorRT-RTX 1.6.1.120" if form == "engine" else "ONNX Runtime (CPU)") if ap is not None else "",
        figures={} if ap is None else {"AP": ap, "AP50": ap + 15},
        times=time,
        timed_on="a GPU" if milliseconds else "",
        difference=difference if ap is not None else None,
        missing=() if ap is not None else ("there is no GPU here",),
    )


def findings(*models: Model, steps: tuple[StepLine, ...] = ()) -> Findings:
    """A workflow whose reference is the FP32 ONNX model with an AP of 31.2."""
    groups = tuple(GroupLoss(name, 0.0001 * n**2, 0.1, 0.08 if n > 5 else 0.0) for n, name in enumerate(GROUPS))
    return Findings(
        title="made_<up> & small",
        about="416 × 416 pixels, 80 classes",
        machine="a machine",
        facts={"cpu": "a processor"},
        versions={"detrt": "0"},
        made="2026-01-01 12:00 UTC",
        target_drop=0.3,
        photos=535,
        models=(replace(model("fp32", "onnx", 31.2), file="model.onnx", difference=None), *models),
        quantizations=(
            Quantization("int8", 0.8, True, 94.0, "256 photos", groups, "/decoder/Add_output_0", "noise", 0.06),
        ),
        engines=(
            EngineGroups("fp32", 0.9, 201, {"backbone": 400.0, "CCFF": 300.0, "heads": 50.0}),
            EngineGroups("fp16", 0.5, 189, {"backbone": 200.0, "CCFF": 160.0, "postprocess": 40.0}),
        ),
        steps=steps,
        commands=(Command("Everything", "detrt workflow -o out"),),
        options={"target_drop": 0.3},
    )
