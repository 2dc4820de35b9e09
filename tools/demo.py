"""The main job on real input, for `make demo`: photos in, boxes out, annotated pictures left in demo/.

Takes the photos and the model of a shared folder where there is one; else it pulls the model by the registry and draws
a scene of its own, so that it needs no photo.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from scene import street

MODEL = "deimv2-femto"
PHOTOS = 8


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

    if _detrt("models", "path", MODEL, env=environment, quiet=True) != 0:
        code = _detrt("models", "pull", MODEL, env=environment)
        if code:
            return code
    results = ["--json", str(options.out / "detections.jsonl"), "--save", str(options.out / "annotated")]
    code = _detrt("predict", MODEL, *map(str, photos), str(scene), *results, env=environment)
    if code == 0:
        print(f"\nAnnotated pictures: {options.out}/annotated   Detections: {options.out}/detections.jsonl")
    return code


def _detrt(*arguments: str, env: dict[str, str], quiet: bool = False) -> int:
    command = [str(Path(sys.executable).parent / "detrt"), *arguments]
    if not quiet:
        print("$ detrt", *arguments[:2], "...", *arguments[-4:] if arguments[0] == "predict" else "", flush=True)
    hidden = subprocess.DEVNULL if quiet else None
    return subprocess.run(command, env=env, check=False, stdout=hidden, stderr=hidden).returncode


if __name__ == "__main__":
    raise SystemExit(main())
