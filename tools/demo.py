"""The main job on real input, for `make demo`: photos in, boxes out, annotated pictures left in demo/.

Takes the photos and the model of a shared folder where there is one; else it pulls the model by the registry and draws
a scene of its own, so that it needs no photo. Where nothing can be pulled, it exports the model that is built in, and
draws what that one knows.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

from scene import street

MODEL = "deimv2-femto"
BUILT_IN = "shapes"
PHOTOS = 8
ROOT = Path(__file__).parents[1]


def main() -> int:
    """Run `detrt` as a person would, and say where the pictures are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, help="folder with models/ and coco/val/")
    parser.add_argument("--out", type=Path, default=Path("demo"))
    options = parser.parse_args()

    options.out.mkdir(exist_ok=True)
    scene = options.out / "street.png"
    street().save(scene)
    photos = sorted((options.shared / "coco" / "val").glob("*.jpg"))[:PHOTOS] if options.shared else []
    environment = os.environ | ({"DETRT_MODELS": str(options.shared / "models")} if options.shared else {})

    model, pictures = MODEL, [*photos, scene]
    if _detrt("models", "path", MODEL, env=environment, quiet=True) != 0:
        code = _detrt("models", "pull", MODEL, env=environment)
        if code:
            if _detrt("models", "path", BUILT_IN, env=environment, quiet=True) != 0:
                return code
            print(f"\n{MODEL} cannot be had here; {BUILT_IN}, which is built in, takes its place.")
            model, pictures = _built_in(options.out, environment)
    results = ["--json", str(options.out / "detections.jsonl"), "--save", str(options.out / "annotated")]
    code = _detrt("predict", model, *map(str, pictures), *results, env=environment)
    if code == 0:
        print(f"\nAnnotated pictures: {options.out}/annotated   Detections: {options.out}/detections.jsonl")
    return code


def _built_in(out: Path, environment: dict[str, str]) -> tuple[str, list[Path]]:
    """Export the checkpoint that is built in, which takes PyTorch, and draw pictures for it."""
    if importlib.util.find_spec("torch") is None:
        print("Its export needs PyTorch: installing it.", flush=True)
        install = ["-m", "pip", "install", "--quiet", "--editable", f"{ROOT}[torch]"]
        subprocess.run([sys.executable, *install], check=True)
    model = out / f"{BUILT_IN}.onnx"
    if _detrt("export", BUILT_IN, "-o", str(model), env=environment):
        raise SystemExit(1)
    draw = ["-m", "tools.train_shapes", "validation", str((out / "drawn").resolve()), "--count", str(PHOTOS)]
    subprocess.run([sys.executable, *draw], cwd=ROOT, check=True)
    return str(model), sorted((out / "drawn" / "val").glob("*.png"))


def _detrt(*arguments: str, env: dict[str, str], quiet: bool = False) -> int:
    command = [str(Path(sys.executable).parent / "detrt"), *arguments]
    if not quiet:
        print("$ detrt", *arguments[:2], "...", *arguments[-4:] if arguments[0] == "predict" else "", flush=True)
    hidden = subprocess.DEVNULL if quiet else None
    return subprocess.run(command, env=env, check=False, stdout=hidden, stderr=hidden).returncode


if __name__ == "__main__":
    raise SystemExit(main())
