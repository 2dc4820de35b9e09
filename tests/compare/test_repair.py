"""Repairing engines that go wrong: stand-ins for a builder with a bad fusion, on a real detector."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import onnx
import pytest

from detrt.compare.culprits import known_culprits, markable
from detrt.compare.judges import AgreementJudge, ApJudge, Build
from detrt.compare.repair import Repair, journal_name, repair
from detrt.detector import Detector
from detrt.errors import EngineError
from detrt.evaluate.dataset import coco_dataset
from detrt.graph.mark import Mark
from detrt.graph.onnx_file import load
from detrt.graph.unquantize import Unquantize, quantized_products
from detrt.runtime.base import Runtime
from detrt.runtime.onnxruntime import OnnxRuntime
from tests import tiny
from tests.compare import planted
from tests.evaluate.conftest import CocoFolder

Marks = set[str]
GOAL = 0.97
KINDS = ("sampling_offsets", "attention_weights")


class Workshop:
    """Builds candidates as a builder would that fuses wrongly unless certain tensors are marked."""

    def __init__(self, atto: Path, photos: list[Path]) -> None:
        self.model, self.photos, self.built = load(atto), photos, 0
        self.reference = Detector.open(atto, device="cpu")
        self.own = {value.name for value in self.model.graph.output}

    def builder(self, spoil: Callable[[onnx.ModelProto, Marks], onnx.ModelProto]) -> Build:
        def build(model: onnx.ModelProto) -> Runtime:
            self.built += 1
            marks = {value.name for value in model.graph.output} - self.own
            return OnnxRuntime(spoil(model, marks).SerializeToString(), device="cpu")

        return build

    def repaired(self, build: Build, *, journal: Path | None = None, budget: int = 60) -> Repair:
        return repair(
            self.model,
            AgreementJudge(self.reference, self.photos, build, name="stand-in"),
            Mark,
            goal=GOAL,
            known=known_culprits(self.model),
            candidates=markable(self.model),
            budget=budget,
            journal=journal,
        )


@pytest.fixture(scope="module")
def workshop(atto: Path, shared: Path) -> Iterator[Workshop]:
    made = Workshop(atto, sorted((shared / "coco" / "val").glob("*.jpg"))[:3])
    yield made
    made.reference.close()


def fuses_offsets(model: onnx.ModelProto, marks: Marks) -> onnx.ModelProto:
    """TensorRT 10.7's fault: merged with the attention weights, the offsets lose their bias; here in layers 0 and 1."""
    for layer in (0, 1):
        if not marks & {planted.OFFSETS.format(layer), planted.WEIGHTS.format(layer)}:
            model = planted.without_bias(model, layer)
    return model


def test_the_known_culprit_is_found_and_its_least_marks(workshop: Workshop) -> None:
    found = workshop.repaired(workshop.builder(fuses_offsets))
    assert found.start < 0.7
    assert found.solved
    assert found.minimal
    assert found.best.items == (planted.OFFSETS.format(0), planted.OFFSETS.format(1))
    assert found.culprit == "the sampling offsets of every decoder layer"
    assert len(found.trials) < 10


def test_an_unknown_culprit_is_found_by_bisection(workshop: Workshop) -> None:
    wanted = f"{planted.CONV}_output_0"

    def spoil(model: onnx.ModelProto, marks: Marks) -> onnx.ModelProto:
        return model if wanted in marks else planted.halved(model, planted.CONV)

    found = workshop.repaired(workshop.builder(spoil))
    assert found.solved
    assert found.minimal
    assert found.best.items == (wanted,)
    assert len(found.trials) < 25


def test_the_layer_with_a_bad_scale_is_left_unquantised(workshop: Workshop) -> None:
    """Four layers in INT8, one of them clipped to a hundredth of its range."""
    layers = [f"/model/decoder/decoder/layers.{layer}/cross_attn/{kind}/MatMul" for layer in (0, 1) for kind in KINDS]
    clipped = planted.quantised(workshop.model, {**dict.fromkeys(layers, 8.0), layers[2]: 0.1})
    plain = workshop.builder(lambda model, marks: model)
    found = repair(
        clipped,
        AgreementJudge(workshop.reference, workshop.photos, plain, name="clipped"),
        Unquantize,
        goal=0.95,
        candidates=quantized_products(clipped),
    )
    assert found.start < 0.9
    assert found.solved
    assert found.best.items == (f"{layers[2]}_output_0",)


def test_what_cannot_be_repaired_is_said(workshop: Workshop) -> None:
    found = workshop.repaired(workshop.builder(lambda model, marks: planted.without_bias(model, 0)))
    assert not found.solved
    assert found.best.score < GOAL


def test_nothing_to_repair(workshop: Workshop) -> None:
    found = workshop.repaired(workshop.builder(lambda model, marks: model))
    assert found.solved
    assert found.best.items == ()
    assert len(found.trials) == 1


def test_a_candidate_that_cannot_be_built_scores_least(workshop: Workshop) -> None:
    def spoil(model: onnx.ModelProto, marks: Marks) -> onnx.ModelProto:
        if len(marks) > 20:
            raise EngineError("Too many outputs.", "Mark fewer.")
        return planted.without_bias(model, 0)

    found = workshop.repaired(workshop.builder(spoil))
    assert not found.solved
    assert any(trial.error == "Too many outputs." for trial in found.trials)


def test_a_budget_is_kept_and_a_second_search_goes_on(workshop: Workshop, tmp_path: Path) -> None:
    build = workshop.builder(fuses_offsets)
    journal = tmp_path / "scores" / "journal.jsonl"
    before = workshop.built
    first = workshop.repaired(build, journal=journal, budget=2)
    assert workshop.built - before == 2
    assert first.solved
    assert not first.minimal
    assert len(first.best.items) == 3  # all of the culprit, not yet the least of it
    with journal.open("ab") as file:
        file.write(b'{"items": ["cut of')
    second = workshop.repaired(build, journal=journal)
    assert second.minimal
    assert workshop.built - before == len(second.trials)  # what the first had built was not built again
    third = workshop.repaired(build, journal=journal)
    assert third.best == second.best
    assert workshop.built - before == len(second.trials)


def test_a_journal_belongs_to_one_model_judge_and_action(workshop: Workshop) -> None:
    judge = AgreementJudge(workshop.reference, [], workshop.builder(fuses_offsets), name="a")
    names = {
        journal_name(workshop.model, judge, "marking"),
        journal_name(workshop.model, judge, "unquantising"),
        journal_name(planted.without_bias(workshop.model, 0), judge, "marking"),
    }
    assert len(names) == 3


def test_ap_as_judge(coco: CocoFolder) -> None:
    dataset = coco_dataset(coco.annotations, coco.images)
    names = {"class_names": ("cat", "dog", "mug")}
    judge = ApJudge(
        dataset, lambda model: OnnxRuntime(model.SerializeToString(), device="cpu"), name="t", overrides=names
    )
    assert 0 <= judge(tiny.deploy_model()) <= 100
    assert judge.name.startswith("ap|t|12 photos")
