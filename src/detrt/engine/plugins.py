"""Plugin libraries: loaded before a network that uses them is parsed, or an engine that uses them is read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from detrt.engine.flavour import Flavour
from detrt.engine.log import gist
from detrt.engine.manifest import PluginLibrary
from detrt.errors import EngineError
from detrt.files import sha256_of


def load_plugins(libraries: Sequence[Path], flavour: Flavour) -> None:
    """Load each library and register its plugins.

    Raises:
        EngineError: it is no library that this TensorRT can load, or TensorRT-RTX, which takes no plugins.
    """
    if libraries and flavour.is_rtx:
        raise EngineError(
            f"{flavour} takes no plugins, but {', '.join(map(str, libraries))} was asked for.",
            "Use TensorRT (--flavour tensorrt), or a graph without plugins.",
        )
    for library in libraries:
        with flavour.log.errors() as said:
            try:
                loaded = flavour.trt.get_plugin_registry().load_library(str(library.resolve()))
            except (RuntimeError, OSError) as error:
                raise EngineError(
                    f"{flavour} cannot load the plugin library {library}: {error}.", "Build it for this version."
                ) from error
        if loaded is None:
            raise EngineError(
                f"{flavour} cannot load the plugin library {library}: {gist(said)}.", "Build it for this version."
            )


def papers_of(libraries: Sequence[Path], engine: Path) -> tuple[PluginLibrary, ...]:
    """What the manifest says of the libraries: where they lie, from the engine's folder, and their hashes.

    Raises:
        EngineError: there is no such file.
    """
    folder = engine.resolve().parent
    for library in libraries:
        if not library.is_file():
            raise EngineError(f"There is no plugin library at {library}.", "Check the path, or build the library.")
    return tuple(PluginLibrary(_relative(library.resolve(), folder), sha256_of(library)) for library in libraries)


def libraries_of(plugins: Sequence[PluginLibrary], engine: Path, *, rebuild: str) -> list[Path]:
    """Find the libraries that an engine needs: where its manifest says, or beside the engine.

    Raises:
        EngineError: one is missing, or is another than the engine was built with.
    """
    return [_found(plugin, engine.resolve().parent, rebuild) for plugin in plugins]


def _found(plugin: PluginLibrary, folder: Path, rebuild: str) -> Path:
    places = (folder / plugin.path, folder / Path(plugin.path).name)
    there = [place for place in places if place.is_file()]
    if not there:
        raise EngineError(
            f"The engine needs the plugin library {Path(plugin.path).name}, which is neither at {places[0]} "
            f"nor at {places[1]}.",
            f"Copy it beside the engine, or build the engine again: {rebuild}",
        )
    for place in there:
        if sha256_of(place) == plugin.sha256:
            return place
    raise EngineError(
        f"The plugin library {there[0]} is not the one that the engine was built with (SHA-256 "
        f"{sha256_of(there[0])[:12]}, not {plugin.sha256[:12]}).",
        f"Build the engine again: {rebuild}",
    )


def _relative(library: Path, folder: Path) -> str:
    return str(library.relative_to(folder)) if library.is_relative_to(folder) else str(library)
