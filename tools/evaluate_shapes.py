"""All that is claimed of `shapes`, by `detrt` commands: `evaluate_shapes.py CHECKPOINT [--gpu]`.

AP from PyTorch and ONNX Runtime, the sensitivity of its parts, and the AP of each recipe, quantised from the checkpoint
and from its export; with --gpu also of the FP16 engine and the FP8 engines. What has been measured is kept in OUT, and
the same command goes on from there.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

RECIPES = ("default", "entropy", "safe")
DETRT = (sys.executable, "-c", "from detrt.cli import main; main()")  # installed or not
ROUTES = ("checkpoint", "onnx")


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
    for precision in ("int8", "fp8"):
        for route, source in zip(ROUTES, (checkpoint, onnx), strict=True):
            for recipe in RECIPES:
                recipe_of(steps, source, f"{precision}-{recipe}-{route}", precision, recipe, engine=options.gpu)
    sensitivity = ["sensitivity", str(onnx), *steps.calib, *steps.labelled]
    steps.made("sensitivity.json", lambda file: [*sensitivity, "--json", file])


def recipe_of(steps: Steps, source: Path, name: str, precision: str, recipe: str, *, engine: bool) -> None:
    """Quantise and score: INT8 by ONNX Runtime, FP8 too, and as an engine where there is a GPU."""
    settings = [*steps.calib, "--precision", precision, "--recipe", recipe]
    model = steps.made(f"{name}.onnx", lambda file: ["quantize", str(source), "-o", file, *settings])
    steps.ap(model, name)
    if engine and precision == "fp8":
        built = steps.made(f"{name}.engine", lambda file: ["build", str(model), "-o", file])
        steps.ap(built, f"{name}-engine")


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
