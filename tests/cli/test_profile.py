"""`detrt profile`, `mark` and `graph` as people use them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import onnx
import pytest

from detrt.cli import exit_codes
from detrt.graph.onnx_file import save
from tests import tiny
from tests.cli.conftest import Command
from tests.graph.test_fuse_offsets import decoder_layer
from tests.profile.conftest import small as small


def test_a_folder_of_json_to_tables_page_picture_and_trace(detrt: Command, small: Path, tmp_path: Path) -> None:
    done = detrt(
        "profile", small, "--html", tmp_path / "p.html", "--svg", tmp_path / "p.svg", "--trace", tmp_path / "t.json",
        "--color", "precision",
    )  # fmt: skip
    assert done.code == exit_codes.OK
    assert "5 layers; 1 reformats (0 quantise)" in done.out
    assert "2.40 times the latency" in done.out
    assert "value projection" in done.out
    assert (tmp_path / "p.html").read_text().startswith("<!doctype html>")
    assert 'class="by-precision"' in (tmp_path / "p.svg").read_text()
    assert json.loads((tmp_path / "t.json").read_text())["traceEvents"]


def test_an_engine_whose_name_is_no_utf8(detrt: Command, small: Path, tmp_path: Path) -> None:
    small = small.rename(tmp_path / os.fsdecode(b"s\xff"))
    assert detrt("profile", small, "--html", tmp_path / "p.html", "--svg", tmp_path / "p.svg").code == exit_codes.OK
    assert "s\ufffd" in (tmp_path / "p.html").read_text()


def test_difference(detrt: Command, small: Path) -> None:
    done = detrt("profile", "--diff", small, small)
    assert done.code == exit_codes.OK
    assert "latency 0.0050 -> 0.0050 ms, +0.0 %" in done.out


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--diff", "a"], exit_codes.USAGE, "1 engines"),
        (["a", "b"], exit_codes.USAGE, "--diff"),
        (["a", "--color", "red"], exit_codes.USAGE, "red"),
        (["--diff", "a", "b", "--svg", "d.svg", "--save", "d"], exit_codes.USAGE, "without --svg, --save"),
        (["a", "--save", "d"], exit_codes.USAGE, "Leave out --save"),
        (["missing"], exit_codes.MODEL, "nothing at missing"),
        (["missing.engine"], exit_codes.MODEL, "no manifest"),
    ],
)
def test_errors(detrt: Command, arguments: list[str], code: int, said: str) -> None:
    done = detrt("profile", *arguments)
    assert done.code == code
    assert said in done.err


def test_mark(detrt: Command, tmp_path: Path) -> None:
    save(tiny.deploy_model(), tmp_path / "model.onnx")
    done = detrt("mark", tmp_path / "model.onnx", "--outputs", "mean*", "-o", tmp_path / "marked.onnx")
    assert done.code == exit_codes.OK
    assert "marked mean float32" in done.out
    names = [value.name for value in onnx.load(tmp_path / "marked.onnx").graph.output]
    assert names == ["labels", "boxes", "scores", "mean", "mean_row"]
    wrong = detrt("mark", tmp_path / "model.onnx", "--outputs", "nope", "-o", tmp_path / "no.onnx")
    assert wrong.code == exit_codes.MODEL
    assert not (tmp_path / "no.onnx").exists()


def test_fuse_offsets(detrt: Command, tmp_path: Path) -> None:
    save(decoder_layer("folded"), tmp_path / "layer.onnx")
    done = detrt("graph", "fuse-offsets", tmp_path / "layer.onnx", "-o", tmp_path / "fused.onnx")
    assert done.code == exit_codes.OK
    assert "1 detrt::MultiHeadOffsets" in done.out
    assert onnx.load(tmp_path / "fused.onnx").functions
    again = detrt("graph", "fuse-offsets", tmp_path / "layer.onnx", "--for-plugin", "-o", tmp_path / "plugin.onnx")
    assert again.code == exit_codes.OK
    assert not onnx.load(tmp_path / "plugin.onnx").functions
    save(tiny.deploy_model(), tmp_path / "float.onnx")
    assert detrt("graph", "fuse-offsets", tmp_path / "float.onnx", "-o", tmp_path / "x.onnx").code == exit_codes.MODEL
