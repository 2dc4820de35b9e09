"""Right, by float64: the captured case, random cases, graph replay, refusals of the C interface."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from build import Builds
from tests.kernels import attention_cases, offset_cases
from tests.kernels.captured import check_captured
from tests.kernels.on_gpu import ByC, ByName
from tests.kernels.replay import CASES, check_attention_replay, check_offset_replay


def check(builds: Builds, captured: Path | None, count: int) -> dict[str, Any]:
    """Every figure is printed and returned; the first failure of a part ends it, after the other parts."""
    library = ctypes.CDLL(str(builds.library))
    ways: dict[str, tuple[Any, Any]] = {
        "Python": (ByName("offset_projection"), ByName("deformable_attention")),  # all cases
        "C": (ByC(library, "detrt_offset_projection"), ByC(library, "detrt_deformable_attention")),  # a fifth
    }
    found: dict[str, Any] = {}
    for way, (project, attend) in ways.items():
        if captured is not None:
            found[f"captured case, {way}"] = {
                kind: check_captured(captured, "cuda", project, kind) for kind in ("float32", "float16")
            }
        for batch, queries in CASES:
            check_offset_replay(project, batch, queries)
            check_attention_replay(attend, batch, queries)
        found[f"graph replay, {way}"] = "same bits"
        of_all = count if way == "Python" else count // 5
        cases = offset_cases.offset_cases(of_all)
        found[f"projection, {way}, worst in half ulps"] = _all(
            cases, partial(offset_cases.check_offset_case, device="cuda", run=project)
        )
        samplings = attention_cases.attention_cases(of_all)
        found[f"attention, {way}, worst of what is allowed"] = _all(
            samplings, partial(attention_cases.check_attention_case, device="cuda", run=attend)
        )
    for name, value in found.items():
        print(f"{name}: {value}", flush=True)
    return found


def _all(cases: Iterable[Any], check_case: Callable[[Any], float]) -> dict[str, Any]:
    started, worst, count = time.perf_counter(), 0.0, 0
    for case in cases:
        worst = max(worst, check_case(case))
        count += 1
    return {"cases": count, "worst": worst, "seconds": round(time.perf_counter() - started, 1)}
