"""Open a bundle: check its files, build its engine, and warm it up.

This module imports neither the web libraries nor the store. A starting service imports those while
another thread opens the bundle.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bazar.config.rules import Rule
from bazar.data.onnx_encoder import OnnxEncoder
from bazar.errors import InputError
from bazar.service.engine.engine import Engine
from bazar.serving.bundle import CHECKSUMS, Bundle, find_bundle, read_bundle


@dataclass(frozen=True)
class OpenedBundle:
    """A bundle that is ready to answer.

    Attributes:
        bundle: the bundle, without what is added later.
        engine: its engine, with the rules.
        encoder: its encoder; None if it has none.
        identity: result of :func:`identify_bundle` before the files were read.
        rules_identity: result of :func:`identify_file` before the rules were read.
    """

    bundle: Bundle
    engine: Engine
    encoder: OnnxEncoder | None
    identity: tuple[str, int] | None
    rules_identity: int | None


def open_bundle(folder: Path, rules_path: Path | None = None) -> OpenedBundle:
    """Open the bundle of a folder and warm it up.

    Args:
        folder: a bundle, or ``data/06_models/<dataset>`` with the file ``current``.
        rules_path: YAML file of business rules; None for none.

    Raises:
        InputError: if there is no bundle, a file of it is missing or damaged, or the rules are
            invalid or name what the catalogue does not have.
    """
    identity, rules_identity = identify_bundle(folder), identify_file(rules_path)
    bundle = read_bundle(find_bundle(folder))
    encoder = open_encoder(bundle)
    engine = build_engine(bundle, encoder)
    if rules_path is not None:
        engine.load_rules(rules_path)
    return OpenedBundle(bundle, engine, encoder, identity, rules_identity)


def open_encoder(bundle: Bundle) -> OnnxEncoder | None:
    """Return the encoder of a bundle; None if it has none. It is loaded when it is first used.

    Raises:
        InputError: if a file of it is missing.
    """
    folder = bundle.encoder_folder
    return None if folder is None else OnnxEncoder.load(folder)


def build_engine(bundle: Bundle, encoder: OnnxEncoder | None, rules: Sequence[Rule] = ()) -> Engine:
    """Build the engine of a bundle and warm it up.

    Args:
        bundle: a bundle that was read from files.
        encoder: its encoder; None if it has none.
        rules: business rules. Products that are not in the catalogue match nothing.

    Raises:
        InputError: if a file of a model is damaged.
    """
    encode = None if encoder is None else encoder.encode
    engine = Engine(bundle, bundle.id, encode, rules)
    engine.warm_up()
    return engine


def identify_bundle(folder: Path) -> tuple[str, int] | None:
    """Return a value that changes with the bundle of a folder; None if there is none.

    The checksums are written last, and differ between bundles.
    """
    try:
        bundle = find_bundle(folder)
        return str(bundle), (bundle / CHECKSUMS).stat().st_mtime_ns
    except (InputError, OSError):
        return None


def identify_file(path: Path | None) -> int | None:
    """Return a value that changes with a file; None if there is none."""
    try:
        return None if path is None else path.stat().st_mtime_ns
    except OSError:
        return None
