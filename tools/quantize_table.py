"""AP of every recipe and of the search, as rows of docs/quantisation.md: `quantize_table.py MODEL.onnx [int8|fp8 ...]`.

Takes photos and labels from ../shared, prints a row as soon as it is measured, and skips what the file OUT has already.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from detrt.errors import DetrtError
from detrt.evaluate import coco_dataset
from detrt.quantize.recipe import load_recipe, recipe_names
from detrt.quantize.run import quantize
from detrt.quantize.workbench import open_workbench

SHARED = Path(__file__).parents[2] / "shared"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("model", type=Path)
    options.add_argument("precision", nargs="*", default=["int8", "fp8"])
    options.add_argument("--out", type=Path, default=Path("quantize_table.jsonl"))
    chosen = options.parse_args()
    labelled = coco_dataset(SHARED / "coco" / "instances_val.json", SHARED / "coco" / "val")
    bench = open_workbench(chosen.model, [str(SHARED / "coco" / "calib")])
    done = (
        {tuple(json.loads(line)[:3]) for line in chosen.out.read_text().splitlines()} if chosen.out.is_file() else set()
    )
    order = ("default", "max", "entropy", "percentile", "conv-only", "backbone-encoder", "safe")
    names = (*order, *(name for name in recipe_names() if name not in order))
    for precision in chosen.precision:
        for name in names:
            if (chosen.model.stem, precision, name) in done:
                continue
            target = Path("/tmp") / f"{chosen.model.stem}.{precision}.{name}.onnx"
            try:
                report = quantize(bench, target, precision=precision, recipe=load_recipe(name), labelled=labelled)
                row = [chosen.model.stem, precision, name, round(100 * report.macs_share, 1), report.judged.ap]
                row += [report.judged.float_ap, round(100 - report.judged.loss.points, 1), round(report.seconds)]
            except DetrtError as error:
                row = [chosen.model.stem, precision, name, str(error)]
            finally:
                target.unlink(missing_ok=True)
                target.with_suffix(".json").unlink(missing_ok=True)
            with chosen.out.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(row, flush=True)


if __name__ == "__main__":
    main()
