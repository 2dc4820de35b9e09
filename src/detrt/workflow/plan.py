"""The steps from a checkpoint to a verdict, and what each depends on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from detrt import __version__
from detrt.compare.files import PHOTOS as PHOTOS_OF_LAYERS
from detrt.errors import DetrtError
from detrt.evaluate import CocoDataset, coco_dataset
from detrt.files import sha256_of
from detrt.models.registry import resolve_model
from detrt.quantize.recipe import load_recipe
from detrt.workflow import artefact, making, measuring
from detrt.workflow.artefact import MODEL, PHOTOS, REFERENCE, Artefact, engine_artefacts, onnx_artefacts
from detrt.workflow.given import digest_of, digest_of_dataset, digest_of_files, digest_of_photos
from detrt.workflow.machine import Abilities
from detrt.workflow.options import Precision, WorkflowOptions
from detrt.workflow.step import Digest, Step

DETRT: Mapping[str, Digest] = {"detrt": __version__}


@dataclass(frozen=True)
class Site:
    """Where a workflow works, and on what: its options, as far as what they name is on this machine.

    Attributes:
        folder: the output folder.
        overrides: fields of the contract, read from `options.contract`.
        here: what this machine can do.
        source, no_source: the model's file, or why there is none; likewise for the others.
        calib: digest of the calibration photos.
        dataset: the labelled photos.
    """

    options: WorkflowOptions
    folder: Path
    overrides: Mapping[str, Any]
    here: Abilities
    source: Path | None
    no_source: DetrtError | None
    calib: Digest
    no_calib: DetrtError | None
    dataset: CocoDataset | None
    no_dataset: DetrtError | None


def site_of(options: WorkflowOptions, folder: Path, overrides: Mapping[str, Any], here: Abilities) -> Site:
    """Look for everything that the options name; what is not here is an error only once a step needs it."""
    source: Path | None = None
    dataset: CocoDataset | None = None
    no_source: DetrtError | None = None
    no_dataset: DetrtError | None = None
    try:
        source = Path(options.model) if Path(options.model).is_dir() else resolve_model(options.model)
    except DetrtError as error:
        no_source = error
    try:
        dataset = coco_dataset(Path(options.annotations), Path(options.images), limit=options.limit)
    except DetrtError as error:
        no_dataset = error
    calib, no_calib = digest_of_photos(options.calib)
    return Site(options, folder, overrides, here, source, no_source, calib, no_calib, dataset, no_dataset)


def plan(site: Site) -> list[Step]:
    """Every step, in order; each reads only what earlier ones have left."""
    options = site.options
    engines = engine_artefacts(options)
    return [
        _export(site),
        _photos(site),
        *(_quantize(site, precision) for precision in options.narrow),
        *(_build(site, made) for made in engines),
        *(_score(site, made) for made in (*onnx_artefacts(options), *engines)),
        *_time(site, engines),
        *(_compare(site, made) for made in (*onnx_artefacts(options)[1:], *engines)),
        *(_explain(site, made) for made in onnx_artefacts(options)[1:]),
        *(_profile(site, made) for made in engines),
    ]


def _export(site: Site) -> Step:
    source = site.source
    is_onnx = site.options.model.endswith(".onnx") or (source is not None and source.suffix == ".onnx")
    digest = None if source is None else _digest_of_model(source)
    return Step(
        name="export",
        action=partial(making.export, source, site.overrides, site.folder),  # type: ignore[arg-type]  # absent where None
        given={"model": digest, "contract": digest_of(dict(site.overrides)), **DETRT},
        outputs=(MODEL,),
        lacks="" if is_onnx else site.here.without("torch", "torch"),
        absent=site.no_source,
    )


def _photos(site: Site) -> Step:
    return Step(
        name="photos",
        action=partial(making.keep_photos, site.options, site.folder),
        given={"photos": site.calib, "most": str(site.options.photos)},
        files=(MODEL,),
        outputs=(PHOTOS,),
        absent=site.no_calib,
    )


def _quantize(site: Site, precision: Precision) -> Step:
    options = site.options
    recipe = load_recipe(options.recipe)
    told = [asdict(recipe), options.photos, options.target_drop, options.budget]
    return Step(
        name=f"quantize {precision}",
        action=partial(making.quantized, precision, recipe, options, site.folder),
        given={"photos": site.calib, "options": digest_of(told), **DETRT},
        files=(MODEL,),
        outputs=(artefact.onnx_file(precision), artefact.quantization(precision)),
        lacks=site.here.without("modelopt", "quantize") if recipe.placement == "modelopt" else "",
        absent=site.no_calib,
    )


def _build(site: Site, made: Artefact) -> Step:
    here = site.here
    built_on = {} if here.builds_without_gpu else {"gpu": here.gpu}
    return Step(
        name=f"build {made.name}",
        action=partial(making.built, made, site.folder),
        given={"options": digest_of(asdict(making.build_options(made.precision))), "tensorrt": here.tensorrt, **DETRT}
        | built_on,
        files=(artefact.onnx_file(made.precision), *((PHOTOS,) if making.is_calibrated(made.precision) else ())),
        outputs=(made.file, f"{made.file}.json"),
        lacks=here.cannot_build,
    )


def _score(site: Site, made: Artefact) -> Step:
    on_engine = made.form == "engine"
    photos = digest_of_dataset(site.dataset, Path(site.options.annotations)) if site.dataset is not None else None
    return Step(
        name=f"score {made.name}",
        action=partial(measuring.scored, made, site.dataset, site.folder),  # type: ignore[arg-type]
        given={"photos": photos, **DETRT} | ({"gpu": site.here.gpu} if on_engine else {}),
        files=(made.file,),
        outputs=(made.scores, made.detections),
        lacks=site.here.cannot_run_engines if on_engine else "",
        absent=site.no_dataset,
    )


def _time(site: Site, engines: list[Artefact]) -> Iterator[Step]:
    """Engines where they can run; the ONNX files on the CPU where they cannot."""
    photos, _ = digest_of_photos([site.options.images])
    can, instead = not site.here.cannot_run_engines, "engines run here, and are timed instead"
    for form, output, made, machine, lacks in (
        ("ONNX", artefact.ONNX_TIMES, onnx_artefacts(site.options), site.here.facts, instead if can else ""),
        ("engines", artefact.ENGINE_TIMES, engines, site.here.facts if can else None, site.here.cannot_run_engines),
    ):
        yield Step(
            name=f"time {form}",
            action=partial(measuring.timed, output, Path(site.options.images), site.options.seconds, site.folder),
            given={"machine": machine, "photos": photos, "seconds": str(site.options.seconds), **DETRT},
            one_of=tuple(each.file for each in made),
            outputs=(output,),
            lacks=lacks,
            absent=site.no_dataset,
        )


def _compare(site: Site, made: Artefact) -> Step:
    return Step(
        name=f"compare {made.name}",
        action=partial(measuring.compared, made, site.folder),
        given=DETRT,
        files=(REFERENCE.detections, made.detections),
        outputs=(made.comparison,),
    )


def _explain(site: Site, made: Artefact) -> Step:
    photos = [photo.path for photo in site.dataset.photos[:PHOTOS_OF_LAYERS]] if site.dataset else []
    return Step(
        name=f"explain {made.name}",
        action=partial(measuring.explained, made, photos, site.folder),
        given={"photos": digest_of_files(photos) if photos else None, **DETRT},
        files=(MODEL, made.file),
        outputs=(artefact.explanation(made.precision),),
        absent=site.no_dataset,
    )


def _profile(site: Site, made: Artefact) -> Step:
    return Step(
        name=f"profile {made.name}",
        action=partial(measuring.profiled, made, site.folder),
        given={"gpu": site.here.gpu, **DETRT},
        files=(made.file,),
        outputs=tuple(f"{made.profile}/{name}" for name in measuring.PROFILE_FILES),
        lacks=site.here.cannot_run_engines,
    )


def _digest_of_model(source: Path) -> str:
    """Of a file, or of the weights in a Hugging Face folder."""
    files = sorted(source.glob("*.safetensors")) if source.is_dir() else [source]
    return digest_of([sha256_of(file) for file in files])
