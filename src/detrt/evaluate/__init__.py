"""COCO AP of any detector."""
