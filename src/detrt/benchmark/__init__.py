"""The timing protocols: engine, infer, e2e."""
