"""Matching, losses and the plan; and that a few steps on a few pictures bring the loss down."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment
from tools.train_shapes.batches import Batches, turned
from tools.train_shapes.boxes import generalized_iou, iou
from tools.train_shapes.forward import GROUPS, Targets, Training, spoil, unseen
from tools.train_shapes.keep import load_state, save_checkpoint, save_state
from tools.train_shapes.learner import Learner
from tools.train_shapes.loss import losses
from tools.train_shapes.matching import costs, given_to_cells, matched
from tools.train_shapes.plan import Plan
from tools.train_shapes.pool import Pool
from tools.train_shapes.scenes import MOST, scene
from torch import Tensor

from detrt.models.checkpoint import load_model
from detrt.models.decoder import anchor_logits
from detrt.models.rtdetrv2 import RTDETRv2
from detrt.models.variants import SHAPES

TINY = replace(SHAPES, name="tiny", stem=8, encoder_width=32, encoder_feedforward=32, hidden=32, feedforward=32,
               layers=2, evaluated=2, queries=20, size=(64, 64))  # fmt: skip
CPU = torch.device("cpu")


def some_targets(seed: int, pictures: int = 5) -> Targets:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(-4, TINY.classes, (pictures, MOST), generator=generator).clamp(min=-1)
    centre = 0.2 + 0.6 * torch.rand(pictures, MOST, 2, generator=generator)
    extent = 0.1 + 0.3 * torch.rand(pictures, MOST, 2, generator=generator)
    return Targets(labels, torch.cat([centre, extent], dim=-1))


def some_answers(seed: int, *shape: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    boxes = torch.rand(*shape, 4, generator=generator) * torch.tensor([1, 1, 0.3, 0.3]) + 0.01
    return torch.randn(*shape, TINY.classes, generator=generator), boxes


def test_overlap_is_what_transformers_computes() -> None:
    reference: Any = pytest.importorskip("transformers.loss.loss_for_object_detection")

    one, other = some_answers(1, 30)[1], some_answers(2, 20)[1]
    corners = [reference.center_to_corners_format(boxes) for boxes in (one, other)]
    expected = reference.generalized_box_iou(*corners)
    torch.testing.assert_close(generalized_iou(one[:, None], other[None]), expected, atol=1e-5, rtol=1e-4)
    assert iou(one, one).sub(1).abs().max() < 1e-3


def test_the_cheapest_pair_first_comes_near_the_cheapest_sum() -> None:
    targets = some_targets(3)
    logits, boxes = some_answers(4, 5, 40)
    cost = costs(logits, boxes, targets)
    greedy = matched(logits, boxes, targets)
    for picture in range(5):
        real = targets.real[picture].nonzero()[:, 0]
        table = cost[picture][:, real].numpy()
        rows, columns = linear_sum_assignment(table)
        chosen = greedy[picture, real].numpy()
        assert len(set(chosen.tolist())) == len(chosen)
        best = table[rows, columns].sum()
        assert table[chosen, np.arange(len(real))].sum() - best <= 0.1 * (table.mean(0).sum() - best)
        assert chosen[table.min(0).argmin()] == table[:, table.min(0).argmin()].argmin()


def test_matching_takes_layers_at_once() -> None:
    targets = some_targets(5)
    logits, boxes = some_answers(6, 3, 5, 30)
    together = matched(logits, boxes, targets)
    apart = torch.stack([matched(logits[layer], boxes[layer], targets) for layer in range(3)])
    assert torch.equal(together, apart)


def test_cells_inside_an_object_are_given_to_it_and_the_best_may_claim_its_overlap() -> None:
    targets = Targets(torch.tensor([[2, -1]]), torch.tensor([[[0.5, 0.5, 0.4, 0.4], [0.1, 0.1, 0.1, 0.1]]]))
    centres = torch.tensor([[0.5, 0.5], [0.6, 0.5], [0.9, 0.9], [0.1, 0.1]])
    boxes = torch.tensor([[[0.5, 0.5, 0.4, 0.4], [0.6, 0.5, 0.4, 0.4], [0.5, 0.5, 0.4, 0.4], [0.1, 0.1, 0.1, 0.1]]])
    boxes = torch.cat([boxes, torch.zeros(1, 4, 4)], dim=1)
    given = given_to_cells(torch.zeros(1, 8, 10), boxes, torch.cat([centres, torch.ones(4, 2)]), targets)
    assert given.quality[0, 0] == pytest.approx(1, abs=1e-4)
    assert 0 < given.quality[0, 1] < 1
    assert not given.quality[0, 2:].any()


def test_turning_a_picture_turns_its_boxes() -> None:
    pictures = torch.zeros(64, 20, 20, 3, dtype=torch.uint8)
    pictures[:, 2:6, 10:18] = 255
    boxes = torch.tensor([14.0, 4, 8, 4]).div(20).expand(64, MOST, 4)
    images, targets = turned(pictures, boxes, torch.zeros(64, MOST, dtype=torch.int64))
    ways = set()
    for image, box in zip(images, targets.boxes[:, 0], strict=True):
        rows, columns = image[0].nonzero().unbind(1)
        seen = torch.stack([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]) / 20
        torch.testing.assert_close(torch.cat([box[:2] - box[2:] / 2, box[:2] + box[2:] / 2]), seen)
        ways.add(tuple(seen.tolist()))
    assert len(ways) == 8


def test_spoilt_objects_stay_near_and_own_queries_see_none_of_them() -> None:
    targets = some_targets(7)
    labels, boxes = spoil(targets, TINY.classes)
    assert labels.shape == (5, 2 * GROUPS * MOST)
    overlap = iou(boxes, targets.boxes.repeat(1, 2 * GROUPS, 1)).view(5, GROUPS, 2, MOST)
    assert overlap[:, :, 0].mean() > overlap[:, :, 1].mean()
    assert ((labels == TINY.classes) == ~targets.real.repeat(1, 2 * GROUPS)).all()

    hidden = unseen(4, 3)
    spoilt = 2 * GROUPS * 3
    assert hidden[spoilt:, :spoilt].all()
    assert not hidden[:, spoilt:].any()
    assert not hidden[:6, :6].any()
    assert hidden[:6, 6:spoilt].all()


def test_training_answers_as_the_model_does() -> None:
    """The queries that start from the picture's own cells give what inference gives."""
    torch.manual_seed(1)
    model = RTDETRv2(TINY)
    images = torch.rand(5, 3, 64, 64)
    answers = Training(model, MOST)(images, some_targets(8))
    with torch.no_grad():
        logits, boxes = model(images)
    torch.testing.assert_close(answers.logits[-1], logits, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(answers.boxes[-1], boxes, atol=1e-4, rtol=1e-3)


def test_every_weight_is_reached_by_the_losses() -> None:
    torch.manual_seed(2)
    model = RTDETRv2(TINY).train()
    targets = some_targets(9)
    centres = anchor_logits(TINY.size)[0][0, :, :2].sigmoid()
    losses(Training(model, MOST)(torch.rand(5, 3, 64, 64), targets), targets, centres).sum().backward()  # type: ignore[no-untyped-call]
    assert [name for name, value in model.named_parameters() if value.grad is None] == []


def test_no_object_is_no_loss_but_what_is_believed() -> None:
    torch.manual_seed(3)
    model = RTDETRv2(TINY).train()
    nothing = Targets(torch.full((2, MOST), -1), torch.full((2, MOST, 4), 0.5))
    centres = anchor_logits(TINY.size)[0][0, :, :2].sigmoid()
    terms = losses(Training(model, MOST)(torch.rand(2, 3, 64, 64), nothing), nothing, centres)
    assert terms.isfinite().all()
    assert terms[2].item() == pytest.approx(0, abs=1e-4)


def test_the_rate_rises_stays_and_falls() -> None:
    plan = Plan(minutes=5)
    rates = [plan.rate_at(done) for done in (0, 0.02, 0.3, 0.7, 1.0)]
    assert rates[0] < rates[1] < rates[2] > rates[3] > rates[4] > 0
    assert plan.difficulty_at(0) < 0.1
    assert plan.difficulty_at(0.5) == 1


@pytest.mark.slow
def test_a_picture_is_learnt_and_the_state_goes_on(tmp_path: Path) -> None:
    torch.manual_seed(4)
    pool = Pool(1, 64, workers=1, seed=[])  # not started: a process draws on, and time would choose what is learnt
    pool.put(0, scene(np.random.default_rng([2, 0, 0]), difficulty=0.0, side=64))
    learner = Learner(TINY, Plan(minutes=1, batch=2), CPU)
    batches = Batches(pool, 2, CPU, [1])

    def total() -> float:
        """The losses by the same spoilt objects and turns each time, learning nothing."""
        torch.manual_seed(9)
        learner.learn(batches, 0.0)
        return sum(learner.terms().values())

    before = total()
    for _ in range(8):
        learner.learn(batches, 2e-3)
    assert total() < 0.96 * before

    save_state(tmp_path / "state", learner.state(), {"seconds": 3.0})
    state, progress = load_state(tmp_path / "state")
    again = Learner(TINY, Plan(minutes=1, batch=2), CPU)
    again.load(state)
    assert progress == {"seconds": 3.0}
    assert again.step == 10
    for one, other in zip(again.average.parameters(), learner.average.parameters(), strict=True):
        assert torch.equal(one, other)
    again.learn(batches, 1e-3)


def test_the_checkpoint_is_found_to_be_of_the_variant(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "mine.pth", RTDETRv2(SHAPES))
    assert (tmp_path / "mine.pth").stat().st_size < 8e6
    model, checkpoint = load_model(tmp_path / "mine.pth")
    assert model.variant == SHAPES
    assert checkpoint.class_names[0] == "disc"
    assert next(model.parameters()).dtype == torch.float32
