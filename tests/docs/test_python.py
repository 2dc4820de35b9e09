"""Every Python block of README.md and docs/: what it imports is there, and it runs where a CPU can run it."""

from __future__ import annotations

import ast
import importlib

import pytest

from tests.docs.pages import Block, blocks

PYTHON = tuple(block for block in blocks() if block.language == "python")

READ_ONLY = {
    "needs a GPU": ('"model.engine"', "session.enqueue", "session()"),
    "needs TensorRT": ('register("aot")',),
}
"""Blocks that are compiled and whose imports are followed, but that are not run: what they hold, by the reason why."""


def read_only(block: Block) -> bool:
    """Whether a block is not run."""
    return any(part in block.text for parts in READ_ONLY.values() for part in parts)


def name(block: Block) -> str:
    """Where a block stands."""
    return f"{block.page}:{block.line}"


@pytest.mark.parametrize("block", PYTHON, ids=name)
def test_what_it_imports_from_detrt_is_there(block: Block) -> None:
    tree = compile(block.text, name(block), "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    assert isinstance(tree, ast.Module)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "detrt":
            module = importlib.import_module(node.module)
            for alias in node.names:
                assert hasattr(module, alias.name), f"{node.module} has no {alias.name}"


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("block", [block for block in PYTHON if not read_only(block)], ids=name)
def test_it_runs(block: Block) -> None:
    exec(compile(block.text, name(block), "exec"), {"__name__": "__main__"})


def test_no_reason_is_left_over() -> None:
    for parts in READ_ONLY.values():
        for part in parts:
            assert any(part in block.text for block in PYTHON), f"no block has {part}: take it out of READ_ONLY"
