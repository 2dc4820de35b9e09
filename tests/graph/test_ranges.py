from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from detrt.errors import GraphError, ModelError, UsageError
from detrt.graph.precision import plan_precision, with_plan
from detrt.graph.ranges import hash_of, load_ranges, measure_ranges
from detrt.runtime.base import Array
from detrt.runtime.onnxruntime import OnnxRuntime
from tests.graph.small_models import detector_tail, model_of, network, norm


def test_ranges_are_those_of_the_tensors_over_all_feeds() -> None:
    model = norm(gain=3.0)
    feeds = [{"x": np.random.default_rng(seed).standard_normal((1, 4, 8)).astype(np.float32)} for seed in range(4)]
    ranges = measure_ranges(model, feeds)
    stacked = np.stack([feed["x"] for feed in feeds])
    assert ranges.photos == 4
    assert ranges.tensors["a"].low == pytest.approx(3 * stacked.min(), rel=1e-6)
    assert ranges.tensors["a"].high == pytest.approx(3 * stacked.max(), rel=1e-6)
    assert ranges.tensors["squares"].absmax == pytest.approx(9 * (stacked**2).max(), rel=1e-5)
    assert ranges.tensors["root"].elements == 4
    assert ranges.nodes["mean"].inner == pytest.approx(9 * (stacked**2).sum(-1).max(), rel=1e-5)


def test_every_float_tensor_and_computing_node_is_measured() -> None:
    model = detector_tail()
    ranges = measure_ranges(model, _tail_feeds(1))
    made = {name for node in model.graph.node for name in node.output}
    assert ranges.tensors.keys() == made | {"images"}
    assert ranges.nodes.keys() == made - {"extent", "sizes/float"}  # these only pass numbers on


def test_noise_is_what_the_narrow_type_rounds_away() -> None:
    model = network()
    feeds = [{"images": np.random.default_rng(0).random((1, 3, 16, 16), np.float32)}]
    fine, coarse = (measure_ranges(model, feeds, narrow=narrow) for narrow in ("fp16", "bf16"))
    for key, error in fine.nodes.items():
        assert 2**-14 < error.noise < 2**-9
        assert 4 < coarse.nodes[key].noise / error.noise < 16


def test_cancellation_shows_as_noise_and_a_plain_copy_does_not() -> None:
    """1000 + x - 1000: rounding the sum leaves little of x, although no value is large."""
    model = model_of(
        [
            helper.make_node("Add", ["x", "large"], ["sum"]),
            helper.make_node("Sub", ["sum", "large"], ["difference"]),
            helper.make_node("Mul", ["difference", "two"], ["y"]),
        ],
        inputs={"x": (4, 64)},
        outputs={"y": (4, 64)},
        constants={"large": np.array(1000, np.float32), "two": np.array(2, np.float32)},
    )
    feed = {"x": np.random.default_rng(0).random((4, 64), np.float32)}
    nodes = measure_ranges(model, [feed]).nodes
    assert nodes["sum"].noise > 0.3
    assert nodes["difference"].noise > 0.3
    assert nodes["y"].noise < 1e-3


def test_infinities_are_told_and_do_not_drown_the_rest() -> None:
    model = model_of(
        [helper.make_node("Add", ["x", "anchors"], ["a"]), helper.make_node("Sigmoid", ["a"], ["y"])],
        inputs={"x": (1, 4)},
        outputs={"y": (1, 4)},
        constants={"anchors": np.array([[0.5, np.inf, -1, 2]], np.float32)},
    )
    ranges = measure_ranges(model, [{"x": np.ones((1, 4), np.float32)}])
    assert not ranges.tensors["a"].finite
    assert ranges.tensors["y"].finite
    assert np.isfinite([error.noise for error in ranges.nodes.values()]).all()


def test_ranges_survive_a_file(tmp_path: Path) -> None:
    model = detector_tail()
    ranges = measure_ranges(model, _tail_feeds(2))
    ranges.save(tmp_path / "ranges.json")
    assert load_ranges(tmp_path / "ranges.json") == ranges


def test_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "ranges.json").write_text('{"format": 1, "tensors"')
    with pytest.raises(GraphError, match=r"ranges\.json"):
        load_ranges(tmp_path / "ranges.json")


def test_hash_is_the_networks_and_not_its_metadata() -> None:
    model = network()
    described = network()
    helper.set_model_props(described, {"detrt.variant": "r18vd"})
    assert hash_of(model) == hash_of(described)
    described.graph.initializer[0].raw_data = described.graph.initializer[0].raw_data[::-1]
    assert hash_of(model) != hash_of(described)


def test_no_feed_and_a_wrong_feed_are_refused() -> None:
    with pytest.raises(UsageError):
        measure_ranges(network(), [])
    with pytest.raises(ModelError):
        measure_ranges(network(), [{"images": np.zeros((1, 4, 16, 16), np.float32)}])


def test_progress_is_told() -> None:
    told: list[tuple[int, int | None]] = []
    feeds = _tail_feeds(3)
    measure_ranges(detector_tail(), feeds, progress=lambda _, done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_real_detector_keeps_its_boxes_in_fp16(femto: Path, shared: Path) -> None:
    """The first norm of femto squares values of some 300: a naive cast overflows there (AP 15.9 instead of 31.3)."""
    from detrt.engine.calibration import ranges_from_photos
    from detrt.graph.emulate import emulated

    model = onnx.load(femto)
    ranges = ranges_from_photos(model, shared / "coco" / "calib", "fp16", most=4)
    plan = plan_precision(model, "fp16", ranges=ranges)
    assert any(one.op == "Pow" and "reaches" in one.reason for one in plan.kept)
    narrow = with_plan(model, plan).model
    assert sum(node.op_type == "Cast" for node in narrow.graph.node) <= 25
    images = np.random.default_rng(0).random((1, 3, 52, 52), np.float32).repeat(8, axis=2).repeat(8, axis=3)
    feeds: dict[str, Array] = {"images": images, "orig_target_sizes": np.array([[1920, 1080]])}
    scores = []
    for candidate in (model, emulated(narrow)):
        with OnnxRuntime(candidate.SerializeToString(), device="cpu") as runtime:
            outputs = runtime.run(feeds)
        assert np.isfinite(outputs["boxes"]).all()
        scores.append(outputs["scores"])
    np.testing.assert_allclose(scores[1], scores[0], atol=0.01)


def _tail_feeds(count: int) -> list[dict[str, Array]]:
    rng = np.random.default_rng(0)
    return [{"images": rng.random((1, 10, 8), np.float32), "sizes": np.array([[640, 480]])} for _ in range(count)]
