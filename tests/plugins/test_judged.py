"""The judge of plugins' outputs: it means what the operators' definitions mean, and sees small errors."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor

from tests.kernels.offset_cases import exact
from tests.plugins.judged import offsets_numbers, require_right
from tests.plugins.nodes import Node, attention_node, offsets_node

ATTENTION: dict[str, Callable[[], Node]] = {
    "plain": attention_node,
    "discrete": partial(attention_node, discrete=1),
    "ragged": partial(attention_node, batch=3, depth=5),
}


@pytest.mark.parametrize("name", ATTENTION)
def test_attention_is_what_its_definition_says(name: str) -> None:
    node = ATTENTION[name]()
    inputs, (output,) = inputs_of(node), outputs_of(node)
    require_right(node, inputs, [output])
    output[0, 0, 0] += 3e-5
    with pytest.raises(AssertionError, match="of what is allowed"):
        require_right(node, inputs, [output])


def test_halves_are_judged_as_halves() -> None:
    node = attention_node()
    node.feeds["value"][:] = torch.from_numpy(node.feeds["value"]).half()
    (value, *others), (output,) = inputs_of(node), outputs_of(node)
    require_right(node, [value.half(), *others], [output.half()])
    with pytest.raises(AssertionError, match="of what is allowed"):
        require_right(node, [value.half(), *others], [1.004 * output.half()])


def test_offsets_are_what_their_definition_says_rounded_once() -> None:
    node = offsets_node()
    (codes,) = inputs_of(node)
    rounded = [result.float().view(2, 7, -1) for result in exact(offsets_numbers(node, codes))]
    require_right(node, [codes], rounded)
    for result, defined in zip(rounded, outputs_of(node), strict=True):
        torch.testing.assert_close(result, defined, rtol=0, atol=1e-5)
    rounded[1][0, 0, 0] = rounded[1][0, 0, 0].nextafter(torch.tensor(torch.inf))
    with pytest.raises(AssertionError, match="half ulps"):
        require_right(node, [codes], rounded)


def inputs_of(node: Node) -> list[Tensor]:
    return [torch.from_numpy(value) for value in node.feeds.values()]


def outputs_of(node: Node) -> list[Tensor]:
    return [torch.from_numpy(value) for value in node.expected()]
