"""COCO AP of any detector."""

from detrt.evaluate.dataset import CocoDataset, coco_dataset
from detrt.evaluate.results import found_in_results
from detrt.evaluate.run import Evaluation, evaluate
from detrt.evaluate.scorer import CocoScores, score

__all__ = ["CocoDataset", "CocoScores", "Evaluation", "coco_dataset", "evaluate", "found_in_results", "score"]
