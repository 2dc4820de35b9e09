"""The contract survives the road through a file, and refuses what makes no sense."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detrt.contract import ModelContract, ResizeRule, contract_from_metadata
from detrt.errors import ContractError

FLOATS = st.floats(-10, 10, allow_nan=False)
CONTRACTS = st.builds(
    ModelContract,
    input_size=st.tuples(st.integers(1, 4096), st.integers(1, 4096)),
    resize=st.builds(
        ResizeRule, mode=st.sampled_from(["stretch", "letterbox"]), antialias=st.booleans(), pad=st.integers(0, 255)
    ),
    color=st.sampled_from(["RGB", "BGR"]),
    scale=FLOATS,
    mean=st.tuples(FLOATS, FLOATS, FLOATS),
    class_names=st.lists(st.text(max_size=8), max_size=5).map(tuple),
    variant=st.text(max_size=8),
)


@given(CONTRACTS)
def test_metadata_gives_the_same_contract_back(contract: ModelContract) -> None:
    assert contract_from_metadata(contract.to_metadata()) == contract


def test_other_keys_are_nobodys_business() -> None:
    assert contract_from_metadata({"author": "me"}) is None
    assert contract_from_metadata({"author": "me"} | ModelContract((64, 64)).to_metadata()) == ModelContract((64, 64))


@pytest.mark.parametrize(
    "fields",
    [
        {"output_form": "masks"},
        {"color": "HSV"},
        {"input_size": (0, 640)},
        {"std": (1.0, 0.0, 1.0)},
        {"mean": (0.0, 0.0)},
        {"outputs": {"logits": "a", "boxes": "b"}},
    ],
)
def test_what_makes_no_sense_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ContractError):
        ModelContract(**{"input_size": (640, 640)} | fields)


@pytest.mark.parametrize(("field", "value"), [("resize", '{"mode": "crop"}'), ("mean", "7"), ("input_size", "[")])
def test_an_edited_contract_is_an_error_not_a_guess(field: str, value: str) -> None:
    with pytest.raises(ContractError):
        contract_from_metadata(ModelContract((64, 64)).to_metadata() | {f"detrt.{field}": value})


def test_a_newer_format_asks_for_a_newer_detrt() -> None:
    with pytest.raises(ContractError, match="format 99"):
        contract_from_metadata(ModelContract((64, 64)).to_metadata() | {"detrt.contract": "99"})


def test_what_is_stated_is_no_longer_assumed() -> None:
    contract = ModelContract((64, 64), assumed=("resize", "color"))
    assert contract.replaced(color="BGR").assumed == ("resize",)


def test_a_label_without_a_name_has_one_all_the_same() -> None:
    contract = ModelContract((64, 64), class_names=("cat",))
    assert [contract.name_of(label) for label in (0, 1, -1)] == ["cat", "class 1", "class -1"]
