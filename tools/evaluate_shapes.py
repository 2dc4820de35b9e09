"""All that is claimed of `shapes`, by `detrt` commands: `evaluate_shapes.py CHECKPOINT [--gpu]`.

AP from PyTorch and ONNX Runtime, the sensitivity of its parts, and the AP of each recipe, calibrated in PyTorch on the
checkpoint and in ONNX on its export; with --gpu also of the FP16 engine and the FP8 engines. What has been measured is
kept in OUT, and the same command goes on from there: a GPU machine that can neither export nor quantise takes OUT from
one that can.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

RECIPES = ("default", "entropy", "safe")
DETRT = (sys.executable, "-c", "from detrt.cli import main; main()")  # installed or not
ROUTES = {"onnx": (), "checkpoint": ("--calibrate-in", "torch")}


class Steps:
    """Runs commands whose result is not there yet; `limit` pictures are scored."""

    def __init__(self, pictures: Path, out: Path, limit: int | None) -> None:
        self.out = out
        self.calib = ["--calib", str(pictures / "calib")]
        self.labelled = ["--annotations", str(pictures / "instances_val.json"), "--images", str(pictures / "val")]
        self.limit = ["--limit", str(limit)] if limit else []

    def made(self, name: str, command: Callable[[str], list[str]]) -> Path:
        """The file `name` of OUT, by a detrt command that is given its path."""
        path = self.out / name
        if not path.exists():
            run(*DETRT, *command(str(path)))
        return path

    def ap(self, model: Path, name: str) -> None:
        """Score a model; its figures go to `name`.ap.json."""
        ap = ["eval", str(model), *self.labelled, *self.limit]
        path = self.made(f"{name}.ap.json", lambda file: [*ap, "--json", file])
        print(f"{name:32} AP {ap_of(path):.2f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument(
        "--pictures", type=Path, default=Path("runs/shapes"), help="what `train_shapes validation` wrote"
    )
    parser.add_argument("--out", type=Path, default=Path("runs/shapes/evaluation"))
    parser.add_argument("--gpu", action="store_true", help="build engines, and score them")
    parser.add_argument("--limit", type=int, help="pictures to score; all where it is left out")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    if not (options.pictures / "instances_val.json").exists():
        run(sys.executable, "-m", "tools.train_shapes", "validation", str(options.pictures))

    steps = Steps(options.pictures, options.out, options.limit)
    checkpoint = options.checkpoint
    onnx = steps.made("shapes.onnx", lambda file: ["export", str(checkpoint), "-o", file])
    judge = ["-m", "tools.train_shapes", "judge", str(checkpoint), "--pictures", str(options.pictures), *steps.limit]
    if not (torch := options.out / "pytorch.ap.json").exists():
        run(sys.executable, *judge, "--json", str(torch))
    print(f"{'pytorch':32} AP {ap_of(torch):.2f}", flush=True)
    steps.ap(onnx, "onnxruntime")
    if options.gpu:
        steps.ap(steps.made("shapes.engine", lambda file: ["build", str(onnx), "-o", file]), "fp16-engine")
    sources = {"onnx": onnx, "checkpoint": checkpoint}
    for precision in ("int8", "fp8"):
        for recipe in RECIPES:
            for route, source in sources.items():
                name = f"{precision}-{recipe}-{route}"
                settings = ["--precision", precision, "--recipe", recipe, *ROUTES[route]]
                quantized(steps, source, name, settings, engine=options.gpu and precision == "fp8")
        sensitivity(steps, onnx, precision)


def quantized(steps: Steps, source: Path, name: str, settings: Sequence[str], *, engine: bool) -> None:
    """Quantise and score by ONNX Runtime, and as an engine."""
    command = ["quantize", str(source), *steps.calib, *settings]
    model = steps.made(f"{name}.onnx", lambda file: [*command, "-o", file])
    steps.ap(model, name)
    if engine:
        built = steps.made(f"{name}.engine", lambda file: ["build", str(model), "-o", file])
        steps.ap(built, f"{name}-engine")


def sensitivity(steps: Steps, onnx: Path, precision: str) -> None:
    """What each part of the detector costs alone, in AP."""
    command = ["sensitivity", str(onnx), *steps.calib, *steps.labelled, "--precision", precision]
    steps.made(f"sensitivity-{precision}.json", lambda file: [*command, "--json", file])


def ap_of(path: Path) -> float:
    """The AP of a report that `detrt eval --json` wrote."""
    return float(json.loads(path.read_text())["scores"]["AP"])


def run(*command: str) -> None:
    """A command that must succeed."""
    shown = ("detrt", *command[len(DETRT) :]) if command[: len(DETRT)] == DETRT else ("python", *command[1:])
    print("$", *shown, flush=True)
    subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
