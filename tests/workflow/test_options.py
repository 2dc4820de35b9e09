"""Options from the command line and from YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from detrt.errors import UsageError
from detrt.workflow.options import options_from, options_in

LEAST = {"model": "m.onnx", "calib": "photos", "annotations": "a.json", "images": "val"}


def test_the_file_that_is_kept_says_the_same_again(tmp_path: Path) -> None:
    told = LEAST | {"precisions": "fp16, int8", "budget": 5, "contract": ["size=64x64"], "skip": ["time"], "limit": 9}
    options = options_from(told)
    options.save(tmp_path / "workflow.yaml")
    assert options_from(options_in(tmp_path / "workflow.yaml")) == options
    assert options.precisions == ("fp16", "int8")
    assert options.narrow == ("int8",)


def test_later_sources_win_and_none_says_nothing() -> None:
    options = options_from(LEAST | {"target_drop": 1.0}, {"target_drop": 0.5, "calib": ["a", "b"], "model": None})
    assert (options.target_drop, options.calib, options.model) == (0.5, ("a", "b"), "m.onnx")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"precision": "fp16"}, "did you mean precisions"),
        ({"precisions": "int9"}, "did you mean int8"),
        ({"precisions": ""}, "No precision"),
        ({"skip": "profiling"}, "did you mean profile"),
        ({"target_drop": -1}, "target_drop is -1"),
        ({"limit": 0}, "limit is 0"),
        ({"photos": "many"}, "'many'"),
        ({"seconds": True}, "True"),
        ({"calib": 7}, "calib is 7"),
        ({"images": ""}, "--images"),
    ],
)
def test_what_makes_no_sense_is_named(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        options_from(LEAST | changes)


@pytest.mark.parametrize(
    ("text", "says"),
    [("- a\n- b", "no mapping"), ("model: m\na: [", "line 2"), ("", "no mapping"), (None, "No such file")],
)
def test_a_file_that_is_no_mapping_is_refused_in_one_line(tmp_path: Path, text: str | None, says: str) -> None:
    if text is not None:
        (tmp_path / "w.yaml").write_text(text)
    with pytest.raises(UsageError, match=r"w\.yaml") as caught:
        options_in(tmp_path / "w.yaml")
    assert says in caught.value.problem
    assert "\n" not in caught.value.problem
