"""What people call a device."""

from __future__ import annotations

from detrt.errors import ModelError


def chosen_device(asked: str, *, has_cuda: bool) -> str:
    """`cpu` or `cuda:N` for `auto`, `cpu`, `cuda` or `cuda:N`; `auto` is the first GPU where `has_cuda`.

    Raises:
        ModelError: the name is none of these. Whether the device is there is for the runtime to say.
    """
    if asked == "auto":
        return "cuda:0" if has_cuda else "cpu"
    if asked == "cpu":
        return asked
    kind, _, index = asked.partition(":")
    if kind != "cuda" or not (index or "0").isdecimal():
        raise ModelError(f"'{asked}' is no device.", "Use auto, cpu, cuda or cuda:N.")
    return f"cuda:{index or 0}"
