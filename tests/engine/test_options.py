"""Build options: what they accept, and the command that repeats them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from detrt.engine.options import Batch, BuildOptions, batch_from_text, profile_of, size_from_text
from detrt.errors import UsageError
from detrt.signature import TensorSpec


@pytest.mark.parametrize(
    ("text", "batch"),
    [("1", Batch()), ("8", Batch(8, 8, 8)), ("1:32", Batch(1, 32, 32)), ("1:8:32", Batch(1, 8, 32))],
)
def test_batches_are_read_and_written(text: str, batch: Batch) -> None:
    assert batch_from_text(text) == batch
    assert batch_from_text(str(batch)) == batch


@pytest.mark.parametrize("text", ["", "0", "-1", "a", "1:", "8:1", "1:2:3:4", "1.5", "9999999"])
def test_what_is_no_batch_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        batch_from_text(text)


@pytest.mark.parametrize("text", ["640", "0x640", "640x", "x", "640x640x3", "-1x4"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        size_from_text(text)
    assert size_from_text("480x640") == (480, 640)


@pytest.mark.parametrize(
    "make",
    [
        lambda: BuildOptions(precision="int8"),  # type: ignore[arg-type]
        lambda: BuildOptions(hardware="all"),  # type: ignore[arg-type]
        lambda: BuildOptions(flavour="trt"),  # type: ignore[arg-type]
        lambda: BuildOptions(level=6),
        lambda: BuildOptions(workspace=0),
        lambda: BuildOptions(targets=("89",)),
        lambda: Batch(2, 1, 3),
    ],
)
def test_options_that_make_no_sense_are_refused(make: Callable[[], Any]) -> None:
    with pytest.raises(UsageError):
        make()


def test_the_arguments_repeat_every_option() -> None:
    assert BuildOptions().to_arguments() == ["--precision", "fp16"]
    options = BuildOptions(
        precision="bf16",
        flavour="tensorrt",
        batch=Batch(1, 8, 32),
        size=(480, 640),
        level=5,
        workspace=1 << 30,
        targets=("8.9", "12.0"),
        hardware="ampere+",
        version_compatible=True,
        refit=True,
        as_exported=True,
        calibration=Path("photos"),
        plugins=(Path("one.so"), Path("two.so")),
    )
    assert " ".join(options.to_arguments()) == (
        "--precision bf16 --flavour tensorrt --batch 1:8:32 --size 480x640 --level 5 --workspace 1024 "
        "--target 8.9 --target 12.0 --hardware ampere+ --calib photos --plugin one.so --plugin two.so "
        "--version-compatible --refit --as-exported"
    )


def test_a_profile_opens_the_batch_and_takes_the_size_where_the_model_leaves_it_open() -> None:
    images = TensorSpec("images", (None, 3, None, None), "float32")
    sizes = TensorSpec("sizes", (None, 2), "int64")
    profile = profile_of((images, sizes), Batch(1, 8, 32), (480, 640))
    assert profile["images"] == ((1, 3, 480, 640), (8, 3, 480, 640), (32, 3, 480, 640))
    assert profile["sizes"] == ((1, 2), (8, 2), (32, 2))
    fixed = TensorSpec("images", (4, 3, 480, 640), "float32")
    assert profile_of((fixed,), Batch(1, 8, 32), (1, 1))["images"] == ((4, 3, 480, 640),) * 3
    with pytest.raises(UsageError, match="axis 2, 3"):
        profile_of((images,), Batch(), None)
