"""Colours of groups and precisions, the same in every picture. Chosen to be told apart side by side and in grey."""

from __future__ import annotations

from detrt.profile import groups

GROUP_COLORS = {
    groups.BACKBONE: "#4c78a8",
    groups.AIFI: "#72b7b2",
    groups.CCFF: "#54a24b",
    groups.SELECTION: "#e4b93c",
    groups.VALUES: "#b79a20",
    groups.SELF_ATTENTION: "#b279a2",
    groups.CROSS_ATTENTION: "#e45756",
    groups.FFN: "#9d755d",
    groups.HEADS: "#f58518",
    groups.POSTPROCESS: "#8a5fbf",
    groups.OTHER: "#a8a8ad",
}

PRECISION_COLORS = {
    "FP32": "#d1495b",
    "TF32": "#edae49",
    "BF16": "#66a182",
    "FP16": "#2e7fb8",
    "FP8": "#7a5cc2",
    "INT8": "#3aa76d",
    "FP4": "#b05cc2",
    "INT4": "#1d7a5f",
}

PLAIN = "#a8a8ad"


def precision_color(precision: str) -> str:
    """The colour of a precision; grey for what computes on no such numbers."""
    return PRECISION_COLORS.get(precision, PLAIN)
