"""Trains the variant `shapes` from scratch on drawn pictures: `python -m tools.train_shapes --help`."""
