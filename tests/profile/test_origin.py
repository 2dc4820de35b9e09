"""The three engines of the origin: our tables say what its analysis found (docs/origin.md, section 7)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from detrt.profile.labels import label_of
from detrt.profile.profile import EngineProfile
from tests.profile.conftest import ENGINES

Engine = Callable[[str], EngineProfile]

# Layers, median ms, sum of layers ms, profiled runs.
FIGURES = {
    "trt10.7_int8_best": (233, 0.84375, 1.487, 2097),
    "trt10.9_int8_fp32": (238, 0.83460, 1.499, 2101),
    "trt10.9_int8_fp16": (237, 0.66968, 1.294, 2505),
}
SHARES = {
    "backbone": (20.7, 21.7, 22.6),
    "AIFI": (4.2, 5.7, 4.9),
    "CCFF": (21.5, 22.1, 23.1),
    "query selection": (9.5, 9.9, 8.9),
    "value projection": (3.8, 3.4, 3.1),
    "self-attention": (9.1, 8.9, 6.0),
    "cross-attention": (13.0, 10.8, 12.9),
    "FFN and norms": (4.2, 4.0, 4.3),
    "heads": (6.8, 6.2, 7.5),
    "postprocess": (5.9, 5.7, 5.5),
}
TOP_FIVE = {  # microseconds, part
    "trt10.7_int8_best": (
        (78.8, "postprocess"), (35.8, "query selection"), (34.9, "cross-attention"), (34.8, "cross-attention"),
        (33.8, "cross-attention"),
    ),
    "trt10.9_int8_fp16": (
        (43.4, "postprocess"), (20.5, "query selection"), (19.5, "value projection"), (15.4, "cross-attention"),
        (15.4, "cross-attention"),
    ),
}  # fmt: skip
KINDS = {
    "trt10.7_int8_best": {
        "CaskConvolution": 57,
        "kgen": 51,
        "gemm": 44,
        "Reformat": 16,
        "fusion": 10,
        "PointWiseV2": 5,
    },
    "trt10.9_int8_fp16": {
        "CaskConvolution": 57,
        "kgen": 55,
        "gemm": 29,
        "Reformat": 21,
        "fusion": 22,
        "PointWiseV2": 5,
    },
}


@pytest.mark.parametrize("name", ENGINES)
def test_figures(engine: Engine, name: str) -> None:
    profile = engine(name)
    layers, median, total, runs = FIGURES[name]
    assert len(profile.layers) == layers
    assert profile.latency is not None
    assert profile.latency.median == pytest.approx(median, abs=1e-5)
    assert profile.total / 1e3 == pytest.approx(total, abs=5e-4)
    assert profile.runs == runs
    assert profile.device == "NVIDIA GeForce RTX 4090"


@pytest.mark.parametrize("column", range(3))
def test_shares_of_the_parts(engine: Engine, column: int) -> None:
    shares = {share.name: share.percent for share in engine(ENGINES[column]).by_group}
    for part, wanted in SHARES.items():
        assert shares[part] == pytest.approx(wanted[column], abs=1.0), part
    assert sum(shares.values()) == pytest.approx(100)


@pytest.mark.parametrize("name", TOP_FIVE)
def test_the_five_longest_layers(engine: Engine, name: str) -> None:
    profile = engine(name)
    found = [(round(profile.mean[number], 1), profile.groups[number]) for number in profile.top(5)]
    for (time, part), (wanted_time, wanted_part) in zip(found, TOP_FIVE[name], strict=True):
        assert time == pytest.approx(wanted_time, abs=0.06)
        assert part == wanted_part
    assert label_of(profile.layers[profile.top(1)[0]]) == "postprocessor TopK"


@pytest.mark.parametrize("name", KINDS)
def test_kinds_of_layers_and_reformats(engine: Engine, name: str) -> None:
    profile = engine(name)
    kinds = {share.name: share.layers for share in profile.by_kind}
    assert {kind: kinds[kind] for kind in KINDS[name]} == KINDS[name]
    assert profile.reformats.layers == KINDS[name]["Reformat"]
    assert 92 <= profile.reformats.time <= 108.5  # "92-108 us"


def test_what_the_decoder_computes_on(engine: Engine) -> None:
    """10.7 runs self-attention in TF32 although FP16 is allowed; 10.9 with FP16 runs it in half precision."""

    def precisions(name: str) -> set[str]:
        profile = engine(name)
        return {
            layer.precision
            for layer, group in zip(profile.layers, profile.groups, strict=True)
            if group == "self-attention" and layer.kind == "gemm"
        }

    assert precisions("trt10.7_int8_best") == {"TF32"}
    assert precisions("trt10.9_int8_fp16") == {"FP16"}
