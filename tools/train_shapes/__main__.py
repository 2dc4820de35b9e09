"""Train the variant `shapes` from scratch on drawn pictures, or write the set that it is judged on.

python -m tools.train_shapes validation runs/shapes          # 500 PNG pictures and instances_val.json
python -m tools.train_shapes train --minutes 9 --until 4.5   # on a GPU; leaves runs/shapes/state
python -m tools.train_shapes train --minutes 9 --resume      # goes on, and leaves runs/shapes/rtdetrv2_shapes.pth
python -m tools.train_shapes train --minutes 1 --trial 5e-4,1e-3,2e-3
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

OUT = Path("runs/shapes")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    validation = commands.add_parser("validation", help="write the validation set")
    validation.add_argument("folder", type=Path, nargs="?", default=OUT)
    validation.add_argument("--count", type=int, default=500)
    judge = commands.add_parser("judge", help="score a checkpoint through PyTorch, as `detrt eval` scores an export")
    judge.add_argument("checkpoint", type=Path)
    judge.add_argument("--pictures", type=Path, default=OUT, help="what `validation` wrote")
    judge.add_argument("--limit", type=int)
    judge.add_argument("--json", type=Path)
    train = commands.add_parser("train", help="train, or go on training")
    train.add_argument("--minutes", type=float, default=9.0, help="of training over all calls; the plan is for these")
    train.add_argument("--until", type=float, help="stop this call at that minute of the plan")
    train.add_argument("--resume", action="store_true", help="go on from OUT/state, where there is one")
    train.add_argument(
        "--trial", help="learning rates, with commas: an equal part of the minutes for each, nothing kept"
    )
    train.add_argument("--rate", type=float, default=1e-3)
    train.add_argument("--batch", type=int, default=64)
    train.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 2) - 2), help="processes that draw")
    train.add_argument("--slots", type=int, default=8192, help="pictures that are held ready")
    train.add_argument("--judged", type=int, default=200, help="pictures of each AP on the way")
    train.add_argument("--every", type=float, default=1.0, help="minutes between APs")
    train.add_argument("--side", type=int, default=320, help="of the pictures, to try things on a CPU")
    train.add_argument("--hardest", type=float, default=1.0, help="difficulty never rises above it, to try things")
    train.add_argument("--no-graph", action="store_true", help="launch kernels one by one")
    train.add_argument("--float32", action="store_true", help="no bfloat16")
    train.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()

    if options.command == "validation":
        from tools.train_shapes.judge import write_validation

        write_validation(options.folder, options.count)
    elif options.command == "judge":
        from tools.train_shapes.score import scores_of_checkpoint

        print(scores_of_checkpoint(options.checkpoint, options.pictures, options.limit, options.json).figures)
    else:
        from tools.train_shapes.session import run

        run(options)


if __name__ == "__main__":
    main()
