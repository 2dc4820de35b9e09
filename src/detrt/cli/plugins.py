"""`detrt plugins`: the TensorRT plugins in C++, built for the TensorRT that is here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.markup import escape

from detrt.cli.app import app
from detrt.cli.console import err, out, progress_bars

EXAMPLES = """
[bold]Examples[/]

  detrt plugins build\n
  detrt plugins build --tensorrt-root /opt/TensorRT-10.13.3.9 --arch 89 -o libdetrt_plugins.so\n
  detrt plugins build --tensorrt-root /opt/TensorRT-8.6.1.6 --arch native\n
  detrt export r18.pth -o r18.onnx --plugin deformable-attention\n
  detrt build r18.onnx --plugin libdetrt_plugins.so\n
"""

plugins = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")
app.add_typer(plugins, name="plugins", help="Build the TensorRT plugins.", epilog=EXAMPLES)


@plugins.callback()
def _commands() -> None:
    """Keep the command's name a word of its own while there is only one."""


@plugins.command("build", epilog=EXAMPLES)
def build(
    tensorrt_root: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Holds include/NvInfer.h; else TENSORRT_ROOT and the system's folders."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="The library; else one in detrt's cache.")
    ] = None,
    arch: Annotated[
        list[str] | None,
        typer.Option(metavar="CC", help="Compute capability, such as 89, or native; all by default. Repeatable."),
    ] = None,
    interface: Annotated[
        Literal["v3", "v2"] | None, typer.Option(help="v3 from TensorRT 10 on; v2 for 8.6, and 10 where it must be.")
    ] = None,
) -> None:
    """Compile the plugin library with CMake and nvcc; needs TensorRT's headers, not TensorRT."""
    from detrt import settings
    from detrt.plugins.build import BuildRequest, build_plugins

    architectures = tuple(each.replace(".", "") for each in arch or ())
    library = output or settings.cache_dir() / "plugins" / "libdetrt_plugins.so"
    with progress_bars() as progress:
        built = build_plugins(library, BuildRequest(tensorrt_root, architectures, interface), progress=progress)
    out.print(escape(str(built.library)))
    err.print(f"For TensorRT {built.tensorrt}, IPlugin{built.interface.upper()}; use it with: detrt build --plugin")
