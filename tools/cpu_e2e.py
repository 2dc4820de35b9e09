"""The stream on a CPU beside the loop that everybody writes, in turns: images a second of each, and their ratio.

python tools/cpu_e2e.py MODEL.onnx PHOTOS [--photos 64] [--rounds 7] [--batch 1]
"""

from __future__ import annotations

import argparse
import io
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image

from detrt.detector import Detector


def plain_loop(session: onnxruntime.InferenceSession, files: Sequence[bytes], size: int) -> None:
    """Read, resize, run; one photo after the other, ONNX Runtime as it comes."""
    for file in files:
        image = Image.open(io.BytesIO(file)).convert("RGB")
        pixels = np.asarray(image.resize((size, size), Image.Resampling.BILINEAR), np.float32) / 255
        images = np.ascontiguousarray(pixels.transpose(2, 0, 1)[None])
        session.run(None, {"images": images, "orig_target_sizes": np.array([image.size], np.int64)})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batch", type=int, default=1)
    asked = parser.parse_args()
    files = [path.read_bytes() for path in sorted(asked.folder.glob("*.jpg"))[: asked.photos]]
    session = onnxruntime.InferenceSession(str(asked.model), providers=["CPUExecutionProvider"])
    rates: dict[str, list[float]] = {"plain loop": [], "stream": []}
    with Detector.open(asked.model, device="cpu") as detector:
        ways = {
            "plain loop": lambda: plain_loop(session, files, detector.contract.input_size[0]),
            "stream": lambda: sum(len(found) for found in detector.stream(files, batch=asked.batch)),
        }
        for number in range(asked.rounds + 1):
            for name, way in ways.items():
                cpu, start = time.process_time(), time.perf_counter()
                way()
                wall = time.perf_counter() - start
                if number:  # the first round warms up
                    rates[name].append(len(files) / wall)
                    print(f"{name}: {len(files) / wall:.1f} images/s, {(time.process_time() - cpu) / wall:.2f} cores")
    ratios = [ours / plain for plain, ours in zip(rates["plain loop"], rates["stream"], strict=True)]
    for name, values in rates.items():
        print(f"{name}: median {statistics.median(values):.1f}, best {max(values):.1f} images/s")
    print(f"stream over plain loop: median {statistics.median(ratios):.2f}, {min(ratios):.2f} to {max(ratios):.2f}")


if __name__ == "__main__":
    main()
