"""Run an artefact on tensors: one protocol, one module a runtime, opened by suffix."""
