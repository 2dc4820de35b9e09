"""The plugins' kernels on a GPU machine: right, clean, fast. One call does everything.

    python tools/gpu_kernels --case ../shared/plugin_case --out $OUT [--only check,sanitize,speed] [--quick]

`check` holds them to float64 references through Python's launcher and the C interface, `sanitize` runs a C++ program on
that interface under compute-sanitizer (beside `check`, where it follows it), `speed` times them beside others' ways in
one run, `explore` (not by default) tries other tile sizes. Every part prints its figures as it goes; one part's failure
does not stop the next. The exit status tells of any.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from itertools import zip_longest
from pathlib import Path
from typing import Any

import torch

sys.path[1:1] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[2] / "src")]

PARTS = ("check", "sanitize", "speed", "explore")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", type=Path, help="folder of the captured case")
    parser.add_argument("--cases", type=int, default=1000, help="random cases of each kernel")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", type=lambda names: names.split(","), default=PARTS[:3])
    parser.add_argument("--quick", action="store_true", help="speed without the rivals that take long")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    print(f"{torch.cuda.get_device_name()}, PyTorch {torch.__version__}", flush=True)

    from build import Builds

    started = time.perf_counter()
    builds, failed = Builds(asked.out, nvcc=bool({"check", "sanitize"} & set(asked.only))), []
    print(f"### NVRTC took {time.perf_counter() - started:.1f} s", flush=True)
    pool, ahead = ThreadPoolExecutor(1), {}
    for part, following in zip_longest(asked.only, asked.only[1:]):
        started = time.perf_counter()
        if (part, following) == ("check", "sanitize"):
            ahead["sanitize"] = pool.submit(_run, "sanitize", asked, builds)
        try:
            found = ahead[part].result() if part in ahead else _run(part, asked, builds)
            (asked.out / f"{part}.json").write_text(json.dumps(found, indent=1))
        except Exception:
            traceback.print_exc()
            failed.append(part)
        print(f"### {part} took {time.perf_counter() - started:.1f} s", flush=True)
    print(f"FAILED: {', '.join(failed)}" if failed else "all parts passed", flush=True)
    return len(failed)


def _run(part: str, asked: argparse.Namespace, builds: Any) -> Any:
    """Each part imports what it needs, so that one works where another's needs are missing."""
    match part:
        case "check":
            from checks import check

            return check(builds, asked.case, asked.cases)
        case "sanitize":
            from sanitize import sanitize

            return sanitize(builds)
        case "speed":
            from speed import speed

            return speed(asked.quick)
        case "explore":
            from explore import explore

            return explore()
    raise SystemExit(f"There is no part {part}: {', '.join(PARTS)}.")


if __name__ == "__main__":
    sys.exit(main())
