from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from detrt.graph.chunk_top_k import LONG, MOST_IN_CHUNK, chunk_top_k, chunks_of
from tests.graph.rewritten import outputs_of, require_untouched, rewritten


@pytest.mark.parametrize("largest", [0, 1])
@pytest.mark.parametrize("shape", [(8400,), (1, 24000), (3, 8400), (2, 3, 6000)])
def test_values_and_places_are_the_same_in_the_same_order_with_many_equals(
    shape: tuple[int, ...], largest: int
) -> None:
    model = top_k(shape, 300, largest=largest)
    result = rewritten(model, chunk_top_k)
    coarse = np.random.default_rng(0).integers(0, 40, shape).astype(np.float32)
    wanted, given = outputs_of(model, {"scores": coarse}), outputs_of(result, {"scores": coarse})
    assert np.array_equal(given["values"], wanted["values"])
    assert np.array_equal(given["places"], wanted["places"])


def test_all_equal_gives_the_first_places() -> None:
    result = rewritten(top_k((1, 8400), 300), chunk_top_k)
    given = outputs_of(result, {"scores": np.zeros((1, 8400), np.float32)})
    assert given["places"].tolist() == [list(range(300))]


def test_half_precision_stays_half_precision() -> None:
    result = rewritten(top_k((1, 8400), 300, kind=TensorProto.FLOAT16), chunk_top_k)
    scores = np.random.default_rng(0).permutation(8400).astype(np.float16)[None]
    given = outputs_of(result, {"scores": scores})
    assert given["values"].dtype == np.float16
    assert np.array_equal(given["places"], np.argsort(-scores, kind="stable")[:, :300])


@pytest.mark.parametrize(("length", "chunks"), [(8400, 4), (24000, 8), (27300, 10), (LONG, 4), (LONG - 1, None)])
def test_measured_numbers_of_chunks(length: int, chunks: int | None) -> None:
    assert chunks_of(length, 300) == chunks


@pytest.mark.parametrize(("length", "k"), [(7919, 300), (24000, 3000), (109500, 300), (8400, 2101)])
def test_rows_that_cannot_be_cut_well_are_left_alone(length: int, k: int) -> None:
    assert chunks_of(length, k) is None
    require_untouched(top_k((1, length), k), chunk_top_k)


def test_chunks_are_equal_short_and_hold_k() -> None:
    for length in range(LONG, 40000, 100):
        if chunks := chunks_of(length, 100):
            assert length % chunks == 0
            assert 100 <= length // chunks <= MOST_IN_CHUNK
            assert chunks * 100 < LONG


def test_open_batch_open_length_other_axis_and_free_order_are_left_alone() -> None:
    require_untouched(top_k(("N", 8400), 300), chunk_top_k)
    require_untouched(top_k((1, "length"), 300), chunk_top_k)
    require_untouched(top_k((8400, 2), 300, axis=0), chunk_top_k)
    require_untouched(top_k((1, 8400), 300, order=0), chunk_top_k)


def top_k(
    shape: tuple[int | str, ...],
    k: int,
    *,
    axis: int = -1,
    largest: int = 1,
    order: int = 1,
    kind: int = TensorProto.FLOAT,
) -> onnx.ModelProto:
    """scores -> values, places."""
    node = helper.make_node(
        "TopK", ["scores", "k"], ["values", "places"], name="/TopK", axis=axis, largest=largest, sorted=order
    )
    given = list(shape)
    given[axis] = k
    graph = helper.make_graph(
        [node],
        "top-k",
        [helper.make_tensor_value_info("scores", kind, shape)],
        [
            helper.make_tensor_value_info("values", kind, given),
            helper.make_tensor_value_info("places", TensorProto.INT64, given),
        ],
        [numpy_helper.from_array(np.array([k]), "k")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {"kept": "yes"})
    return model
