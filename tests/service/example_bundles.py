"""Bundles of the example store, as files."""

import json
from dataclasses import replace
from pathlib import Path

from bazar.serving.bundle import Bundle, write_bundle
from tests.service.engine.example_store import make_bundle


def write_example(folder: Path, seed: int = 42, bundle: Bundle | None = None) -> Path:
    """Write a bundle. Bundles of different seeds have different ids."""
    bundle = bundle or make_bundle()
    options = bundle.options.model_copy(update={"seed": seed})
    write_bundle(replace(bundle, options=options), folder)
    return folder


def set_current(dataset_folder: Path, bundle: Path) -> None:
    """Make a bundle the current one, as a finished run does."""
    temporary = dataset_folder / "current.tmp"
    temporary.write_text(str(bundle.relative_to(dataset_folder)), encoding="utf-8")
    temporary.replace(dataset_folder / "current")


def damage(bundle: Path) -> None:
    """Change the options of a bundle, but not their checksum."""
    path = bundle / "bundle.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"seed": 1}), encoding="utf-8")
