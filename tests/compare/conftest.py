"""Fixtures of other rooms that comparisons need."""

from __future__ import annotations

from tests.evaluate.conftest import coco as coco
