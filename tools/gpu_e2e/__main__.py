"""From JPEG bytes to boxes on a GPU machine: right, as fast as the engine, steady. One call does everything.

    python tools/gpu_e2e pack ../shared --photos 200 --out DIR      # here: photos and annotations to carry
    python tools/gpu_e2e run DIR --timed R18.onnx --scored FEMTO.onnx --out OUT [--only kernel,decode,bench,ap,soak]

Every part prints its figures as it goes, and one part's failure does not stop the next.
"""

from __future__ import annotations

import argparse
import os
import time
import traceback
from pathlib import Path

from photos import files_of, pack

from detrt.benchmark.machine import this_machine

PARTS = ("kernel", "decode", "bench", "ap", "soak")


def main() -> None:
    asked = _arguments()
    asked.out.mkdir(parents=True, exist_ok=True)
    if asked.action == "pack":
        pack(asked.folder, asked.out, asked.skip, asked.photos)
        return
    print(this_machine(), f"{os.cpu_count()} cores")
    files = files_of(asked.folder)
    for part in asked.only:
        started = time.perf_counter()
        try:
            _run(part, asked, files)
        except Exception:
            traceback.print_exc()
        print(f"### {part} took {time.perf_counter() - started:.1f} s")


def _run(part: str, asked: argparse.Namespace, files: list[bytes]) -> None:
    """Each part imports what it needs, so that one works where another's needs are missing."""
    match part:
        case "kernel":
            from kernel import check_kernel

            check_kernel()
        case "decode":
            from decoders import compare_decoders

            compare_decoders(files[:128])
        case "bench":
            from throughput import compare_throughput

            compare_throughput(asked.timed, files, batches=asked.batch, seconds=asked.seconds, out=asked.out)
        case "ap":
            from accuracy import compare_ap

            compare_ap(asked.folder, asked.scored)
        case "soak":
            from engines import engine_of
            from soak import soak

            engine = engine_of(asked.timed, asked.soak_batch, "fp16")
            soak(engine, files, batch=asked.soak_batch, count=asked.soak, seconds=asked.soak_seconds)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["pack", "run"])
    parser.add_argument("folder", type=Path, help="the shared folder to pack from, or the pack")
    parser.add_argument("--photos", type=int, default=200, help="how many to pack")
    parser.add_argument("--skip", type=int, default=0, help="how many to leave out before")
    parser.add_argument("--timed", type=Path, help="ONNX of dynamic batch whose speed counts")
    parser.add_argument("--scored", type=Path, help="ONNX of dynamic batch whose AP counts")
    parser.add_argument("--batch", type=lambda text: [int(word) for word in text.split(",")], default=[1, 8, 16, 32])
    parser.add_argument("--seconds", type=float, default=1.5, help="timed seconds for each way")
    parser.add_argument("--soak", type=int, default=100_000, help="photos")
    parser.add_argument("--soak-seconds", type=float, default=600, help="at most")
    parser.add_argument("--soak-batch", type=int, default=16)
    parser.add_argument("--only", type=lambda text: text.split(","), default=PARTS, help="parts")
    parser.add_argument("--out", type=Path, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    main()
