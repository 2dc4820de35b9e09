"""Recipes: how to quantise, as YAML that is checked word by word."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from importlib import resources
from pathlib import Path
from typing import Any, get_args

import yaml

from detrt.errors import UsageError
from detrt.graph.products import Product
from detrt.quantize.formats import Precision
from detrt.quantize.groups import ORDER
from detrt.quantize.quantizer import Ranges, Settings

_CHOICES: dict[str, tuple[str, ...]] = {
    "placement": ("detrt", "modelopt"),
    "modelopt_calibration": ("default", "max", "entropy"),
    "ranges": get_args(Ranges)[:-1],
    "linear_ranges": get_args(Ranges),
    "fp8_ranges": get_args(Ranges)[:-1],
}
_KINDS = ("depthwise", "first", "weighted")
_OPS = ("Conv", "ConvTranspose", "Gemm", "MatMul")


@dataclass(frozen=True)
class Recipe:
    """How to quantise a model.

    Attributes:
        name: of the recipe, or of its file.
        about: one sentence for people.
        placement: who decides what is quantised: `detrt` by `only` and `skip`, `modelopt` by its own rules.
        modelopt_calibration: how ModelOpt chooses ranges, where it places.
        mend: keep ModelOpt's placement, but take our ranges and rounding.
        ranges, linear_ranges: how ranges are chosen, see `quantizer.Settings`; linear layers as the others by default.
        fp8_ranges: overrides both for FP8, whose steps grow with the value, so that clipping gains nothing.
        percentile: of percentile ranges, 0..100.
        compensate, residuals: see `quantizer.Settings`; FP8 convolutions have no kernel that adds a narrow residual.
        only, skip: patterns of what is quantised and of what is not; `skip` wins. `group:CCFF` is a part of the
            detector, `op:Conv` an operator, `kind:depthwise`, `kind:first` and `kind:weighted` are properties of a
            product, and anything else is a node's or module's name; `*` stands for any text.
    """

    name: str
    about: str = ""
    placement: str = "detrt"
    modelopt_calibration: str = "default"
    mend: bool = False
    ranges: Ranges = "percentile"
    linear_ranges: Ranges | None = None
    fp8_ranges: Ranges | None = None
    percentile: float = 99.99
    compensate: bool = False
    residuals: bool = False
    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()

    def settings(self, precision: Precision) -> Settings:
        """The part that the quantiser needs."""
        ranges, linear = self.ranges, self.linear_ranges or self.ranges
        if precision == "fp8" and self.fp8_ranges:
            ranges = linear = self.fp8_ranges
        residuals = self.residuals and precision == "int8"
        return Settings(precision, ranges, linear, self.percentile, self.compensate, residuals)

    def selected(self, products: Sequence[Product], groups: Mapping[str, str]) -> frozenset[str]:
        """Keys of the products that `only` and `skip` leave.

        Raises:
            UsageError: a name pattern of `only` or `skip` matches nothing, which is a slip more often than meant.
        """
        first = products[0].key if products else ""
        named = [pattern for pattern in (*self.only, *self.skip) if ":" not in pattern]
        idle = [
            pattern for pattern in named if not any(_matches(pattern, product, groups, first) for product in products)
        ]
        if idle:
            raise UsageError(
                f"No product of the model is called {idle[0]!r}, as the recipe {self.name} has it.",
                "Look at the names with `detrt sensitivity MODEL --calib DIR --each`, or use group:, op: and kind:.",
            )
        return frozenset(
            product.key
            for product in products
            if (not self.only or any(_matches(pattern, product, groups, first) for pattern in self.only))
            and not any(_matches(pattern, product, groups, first) for pattern in self.skip)
        )


def load_recipe(name_or_file: str) -> Recipe:
    """A recipe of the package by name, or one from a YAML file.

    Raises:
        UsageError: there is none of that name, or the file says something that cannot be.
    """
    path = Path(name_or_file)
    if path.suffix in (".yaml", ".yml"):
        try:
            return recipe_from_text(path.read_text(), path.stem)
        except OSError as error:
            raise UsageError(f"The recipe {path} cannot be read: {error.strerror}.", "Check the path.") from error
    if name_or_file not in recipe_names():
        close = difflib.get_close_matches(name_or_file, recipe_names(), n=1)
        raise UsageError(
            f"There is no recipe '{name_or_file}'" + (f"; did you mean {close[0]}?" if close else "."),
            f"Use one of {', '.join(recipe_names())}, or a file that ends in .yaml.",
        )
    return recipe_from_text((_folder() / f"{name_or_file}.yaml").read_text(), name_or_file)


def recipe_names() -> tuple[str, ...]:
    """The recipes that come with the package."""
    return tuple(sorted(file.name.removesuffix(".yaml") for file in _folder().iterdir() if file.name.endswith(".yaml")))


def recipe_from_text(text: str, name: str) -> Recipe:
    """Read and check a recipe.

    Raises:
        UsageError: not YAML, an unknown key, a value of the wrong kind or range; names the key and what it accepts.
    """
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UsageError(f"The recipe {name} is not YAML: {error}.", "See docs/quantisation.md.") from error
    if not isinstance(content, dict):
        raise UsageError(f"The recipe {name} is no mapping of keys to values.", "See docs/quantisation.md.")
    known = {field.name: field for field in fields(Recipe) if field.name != "name"}
    for key in content:
        if key not in known:
            close = difflib.get_close_matches(str(key), known, n=1)
            raise UsageError(
                f"The recipe {name} has the unknown key '{key}'" + (f"; did you mean {close[0]}?" if close else "."),
                f"The keys are {', '.join(known)}.",
            )
    return Recipe(name=name, **{key: _checked(name, key, value) for key, value in content.items()})


def _checked(recipe: str, key: str, value: Any) -> Any:
    if key in _CHOICES and value not in _CHOICES[key]:
        raise _wrong(recipe, key, value, f"one of {', '.join(_CHOICES[key])}")
    if key in ("mend", "compensate", "residuals") and not isinstance(value, bool):
        raise _wrong(recipe, key, value, "true or false")
    if key == "percentile" and not (isinstance(value, int | float) and 50 < value <= 100):
        raise _wrong(recipe, key, value, "a number above 50 and up to 100")
    if key in ("only", "skip"):
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            raise _wrong(recipe, key, value, "a list of patterns")
        for pattern in value:
            _check_pattern(recipe, key, pattern)
        return tuple(value)
    return value


def _check_pattern(recipe: str, key: str, pattern: str) -> None:
    what, separator, text = pattern.partition(":")
    known = {"group": ORDER, "op": _OPS, "kind": _KINDS}.get(what)
    if separator and known and not any(fnmatchcase(name, text) for name in known):
        raise _wrong(recipe, key, pattern, f"{what}: and one of {', '.join(known)}")
    if separator and not known:
        raise _wrong(recipe, key, pattern, "group:, op:, kind: or a node's name")


def _wrong(recipe: str, key: str, value: Any, wanted: str) -> UsageError:
    return UsageError(f"The recipe {recipe} has {value!r} for '{key}'.", f"Give {wanted}.")


def _matches(pattern: str, product: Product, groups: Mapping[str, str], first: str) -> bool:
    what, separator, text = pattern.partition(":")
    match what if separator else "":
        case "group":
            return fnmatchcase(groups[product.key], text)
        case "op":
            return fnmatchcase(product.op, text)
        case "kind":
            return {
                "depthwise": product.depthwise,
                "first": product.key == first,
                "weighted": product.weight is not None,
            }[text]
        case _:
            return fnmatchcase(product.name, pattern)


def _folder() -> Any:
    return resources.files("detrt.quantize") / "recipes"
