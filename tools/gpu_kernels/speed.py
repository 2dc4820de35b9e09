"""The kernels beside others' ways to the same numbers, all in one run: CUDA graphs over rotating inputs, medians."""

from __future__ import annotations

import traceback
from typing import Any

import torch
from rivals import AttentionRivals, ProjectionRivals
from timing import Subjects, timed

BANDWIDTH = 3.0e12  # bytes a second, measured on an H100
BATCHES = (1, 16)


def speed(quick: bool) -> dict[str, Any]:
    """Microseconds a call, and the share of the memory roofline that the kernels reach; all of it printed.

    Args:
        quick: without those rivals that take long to time or to get ready.
    """
    print(f"inputs rotate through more than the L2 cache; the roofline is at {BANDWIDTH / 1e12} TB/s", flush=True)
    found: dict[str, Any] = {}
    for batch in BATCHES:
        for kernel in ("projection", "float16", "float32"):
            rivals = ProjectionRivals(batch) if kernel == "projection" else AttentionRivals(batch, kernel)
            title = f"{rivals.title}, batch {batch}"
            print(f"\n{title}; {len(rivals.sets)} sets of inputs", flush=True)
            times = timed(_held_to_the_first(rivals.subjects(quick)), len(rivals.sets))
            found[title] = _told(times, rivals.bytes_needed())
            del rivals
            torch.cuda.empty_cache()
    return found


def _held_to_the_first(subjects: Subjects) -> Subjects:
    """Those that run, after saying how far their numbers are from the first one's (where they mean the same)."""
    kept: Subjects = {}
    expected = None
    for name, work in subjects.items():
        try:
            made = work(0).float()
        except Exception:
            print(f"  could not be run: {name}")
            traceback.print_exc()
            continue
        kept[name] = work
        expected = made.clone() if expected is None else expected
        far = float((made[:, : expected.shape[1]] - expected).abs().max())
        print(f"  at most {far:.1e} from ours: {name}", flush=True)
    return kept


def _told(times: dict[str, float], needed: dict[str, int]) -> dict[str, Any]:
    ours = next(iter(times.values()))
    rows = {}
    for name, microseconds in times.items():
        share = needed[name] / BANDWIDTH / microseconds * 1e6 if name in needed else None
        rows[name] = {"us": microseconds, "of ours": microseconds / ours, "roofline": share}
        told = f", {share:.0%} of the roofline ({needed[name] / 1e6:.2f} MB)" if share else ""
        print(f"  {microseconds:9.2f} us  {microseconds / ours:6.2f}x  {name}{told}", flush=True)
    return rows
