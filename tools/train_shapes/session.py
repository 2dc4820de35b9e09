"""A training from its first picture, or its last state, to the checkpoint."""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, replace
from typing import Any

import torch
from tools.train_shapes.batches import Batches
from tools.train_shapes.judge import PICTURES, Judge
from tools.train_shapes.keep import load_state, save_checkpoint, save_state
from tools.train_shapes.learner import Learner
from tools.train_shapes.plan import Plan
from tools.train_shapes.pool import Pool

from detrt.models.checkpoint import load_model
from detrt.models.variants import SHAPES

SEED = 6
BREATH = 25  # steps between looks at the clock


def run(options: argparse.Namespace) -> None:
    """Train as the command line says."""
    options.out.mkdir(parents=True, exist_ok=True)
    plan = Plan(options.minutes, rate=options.rate, batch=options.batch)
    kept = (options.out / "state").is_dir()
    state, progress = (
        load_state(options.out / "state") if options.resume and kept else (None, {"seconds": 0.0, "curve": []})
    )
    seconds, curve = float(progress["seconds"]), list(progress["curve"])

    pool = Pool(options.slots, options.side, workers=options.workers, seed=[SEED, len(curve), 0])
    begun = time.perf_counter()
    first = plan.difficulty_at(seconds / (60 * plan.minutes))
    pool.start(min(options.hardest, first))
    print(f"{options.slots} pictures after {time.perf_counter() - begun:.1f} s", flush=True)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(SEED + len(curve))
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.benchmark = True
    judge = Judge(options.judged, device, side=options.side, difficulty=options.hardest)
    batches = Batches(pool, plan.batch, device, [SEED, len(curve)])
    print(f"Ready after {time.perf_counter() - begun:.1f} s on {device}; {asdict(plan)}", flush=True)

    rates = [float(rate) for rate in options.trial.split(",")] if options.trial else [plan.rate]
    for rate in rates:
        attempt = replace(plan, rate=rate, minutes=plan.minutes / len(rates))
        learner = Learner(
            SHAPES.sized((options.side, options.side)),
            attempt,
            device,
            graph=not options.no_graph,
            half=not options.float32,
        )
        if state is not None:
            learner.load(state)
        finished = _train(learner, batches, pool, judge, options, seconds, curve)
    pool.close()
    if finished and not options.trial:
        _finish(options, device)


def _train(
    learner: Learner,
    batches: Batches,
    pool: Pool,
    judge: Judge,
    options: argparse.Namespace,
    seconds: float,
    curve: list[dict[str, Any]],
) -> bool:
    """Learn until the plan's time is over, or this call's. Returns whether the plan's is."""
    plan, begun = learner.plan, time.perf_counter() - seconds
    whole = 60 * plan.minutes
    end = min(whole, 60 * options.until if options.until else whole)
    due, counted, seen = seconds + 60 * options.every, seconds, learner.step
    while True:
        now = time.perf_counter() - begun
        if now >= due or now >= end:
            torch.cuda.synchronize() if learner.device.type == "cuda" else None
            speed = (learner.step - seen) / (time.perf_counter() - begun - counted)
            row = {
                "minute": round(now / 60, 2),
                "step": learner.step,
                "per_second": round(speed, 2),
                "drawn": pool.drawn,
                "rate": plan.rate_at(now / whole),
                "difficulty": round(pool.difficulty, 2),
                **{name: round(value, 3) for name, value in learner.terms().items()},
                **{
                    name: round(value, 2)
                    for name, value in judge.scores(learner.average).figures.items()
                    if name in SHOWN
                },
            }
            curve.append(row)
            print("  ".join(f"{name} {value:.4g}" for name, value in row.items()), flush=True)
            if not options.trial:
                (options.out / "curve.json").write_text(json.dumps(curve, indent=1))
                save_state(options.out / "state", learner.state(), {"seconds": now, "curve": curve})
                save_checkpoint(options.out / "rtdetrv2_shapes.pth", learner.average)
            if now >= end:
                return now >= whole
            due, counted, seen = now + 60 * options.every, time.perf_counter() - begun, learner.step
        pool.difficulty = min(options.hardest, plan.difficulty_at(now / whole))
        for _ in range(BREATH if learner.device.type == "cuda" else 1):
            learner.learn(batches, plan.rate_at(now / whole))


SHOWN = ("AP", "AP50", "AP75", "APs")


def _finish(options: argparse.Namespace, device: torch.device) -> None:
    """The AP of the very file that was written, on the whole set."""
    path = options.out / "rtdetrv2_shapes.pth"
    model, _ = load_model(path, variant="shapes", size=(options.side, options.side))
    judge = Judge(PICTURES, device, side=options.side, difficulty=options.hardest)
    figures = judge.scores(model.to(device).eval()).figures
    (options.out / "figures.json").write_text(json.dumps(figures, indent=1))
    print(f"{path} ({path.stat().st_size / 1e6:.2f} MB) on {PICTURES} pictures:", figures, flush=True)
