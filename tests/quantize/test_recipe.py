"""Recipes: those that come along are sound, and slips in one's own are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from detrt.errors import UsageError
from detrt.quantize.recipe import Recipe, load_recipe, recipe_from_text, recipe_names
from detrt.quantize.workbench import Workbench


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_of_the_package_is_sound_and_documented(name: str, bench: Workbench) -> None:
    recipe = load_recipe(name)
    assert recipe.selected(bench.products, bench.groups)
    assert recipe.about.endswith(".")
    assert f"`{name}`" in (Path(__file__).parents[2] / "docs" / "quantisation.md").read_text()


def test_safe_leaves_float_what_decides_where_to_look(bench: Workbench) -> None:
    kept = load_recipe("safe").selected(bench.products, bench.groups)
    groups = {bench.groups[key] for key in kept}
    assert groups == {"stage 1", "stage 2", "stage 3", "CCFF", "output_proj", "FFN"}
    assert not any(product.depthwise for product in bench.products if product.key in kept)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("ranges: maximum", "'maximum' for 'ranges'.*one of max, percentile"),
        ("range: max", "unknown key 'range'; did you mean ranges"),
        ("percentile: 30", "30 for 'percentile'.*above 50"),
        ("compensate: yes please", "true or false"),
        ("skip: heads", "list of patterns"),
        ("skip: ['group:head']", "group:head.*heads"),
        ("skip: ['kind:thin']", "depthwise"),
        ("- a\n- b", "no mapping"),
        ("a: [", "not YAML"),
    ],
)
def test_a_slip_is_named(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        recipe_from_text(text, "mine")


def test_patterns_select(bench: Workbench) -> None:
    def names(recipe: Recipe) -> set[str]:
        chosen = recipe.selected(bench.products, bench.groups)
        return {product.name for product in bench.products if product.key in chosen}

    assert names(Recipe("r", only=("group:stage *",), skip=("kind:depthwise",))) == {
        *("/net/conv_2", "/net/conv_4", "/net/conv_6", "/net/conv_9", "/net/conv_12")
    }
    assert names(Recipe("r", only=("/net/conv_2", "op:Conv"), skip=("*conv_1*", "kind:first"))) == {
        *("/net/conv_2", "/net/conv_4", "/net/conv_6", "/net/conv_9")
    }
    with pytest.raises(UsageError, match="No product of the model is called 'backbone"):
        names(Recipe("r", skip=("backbone*",)))


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean percentile"):
        load_recipe("percentil")
    with pytest.raises(UsageError, match=r"nothere\.yaml cannot be read"):
        load_recipe("nothere.yaml")
