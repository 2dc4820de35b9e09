"""A workflow that is killed (SIGKILL, no chance to clean up) within five of its steps, and started again each time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from detrt.workflow.journal import FILE
from tests.workflow.conftest import Material

KILLED_IN = ("photos", "quantize int8", "score fp32 ONNX", "score int8 ONNX", "explain int8 ONNX")
LONGEST = 60.0  # seconds that a start may take before the test gives up

_MAIN = "from detrt.cli import main; main()"


def start(material: Material, out: Path, cache: Path) -> subprocess.Popen[bytes]:
    environment = os.environ | {"DETRT_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", _MAIN, *material.arguments(out)]
    return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def journal(out: Path) -> list[dict[str, Any]]:
    """The whole lines, in order."""
    if not (out / FILE).exists():
        return []
    lines = (out / FILE).read_text().splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}\n")]


def kill_within(step: str, running: subprocess.Popen[bytes], out: Path) -> None:
    """Wait until the journal says that the step has been started, and end the process at once."""
    ends = time.monotonic() + LONGEST
    while not any(line["event"] == "started" and line["step"] == step for line in journal(out)):
        assert time.monotonic() < ends, f"{step} has not been started"
        assert running.poll() is None, f"it ended before {step}"
        time.sleep(0.002)
    running.kill()
    running.wait()


def report_of(out: Path) -> dict[str, Any]:
    """The report without what a clock says."""
    text = (out / "report.json").read_text().replace(str(out), "OUT")
    report: dict[str, Any] = json.loads(text)
    report.pop("made")
    report["steps"] = [{**step, "seconds": 0} for step in report["steps"]]
    return report


def test_it_ends_with_the_same_report_and_repeats_no_finished_step(material: Material, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    untouched = start(material, whole, tmp_path / "cache 1")
    for step in KILLED_IN:
        kill_within(step, start(material, killed, tmp_path / "cache 2"), killed)
    assert not (killed / "report.html").exists()
    assert start(material, killed, tmp_path / "cache 2").wait(LONGEST) == 0
    assert untouched.wait(LONGEST) == 0

    assert report_of(killed) == report_of(whole)
    for file in ("model.onnx", "model.int8.onnx"):
        assert (killed / file).read_bytes() == (whole / file).read_bytes()
    finished: set[str] = set()
    for line in journal(killed):
        assert line["event"] != "started" or line["step"] not in finished, f"{line['step']} was done again"
        finished |= {line["step"]} if line["event"] == "finished" else set()
    assert finished >= set(KILLED_IN)
    assert not list((killed / "measured").glob("*.part"))
