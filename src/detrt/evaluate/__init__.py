"""COCO AP of any detector."""

from detrt.evaluate.dataset import CocoDataset, coco_dataset
from detrt.evaluate.results import found_in_results
from detrt.evaluate.run import Evaluation, evaluate
from detrt.evaluate.scorer import CocoScores, error_of_difference, score

__all__ = [
    "CocoDataset",
    "CocoScores",
    "Evaluation",
    "coco_dataset",
    "error_of_difference",
    "evaluate",
    "found_in_results",
    "score",
]
