"""The bundle: the folder of files that a Recommender or a service loads.

A bundle is complete. It can be copied to another machine as a folder::

    bundle.json         options: models, seed, blend weights, parameters of the baselines
    products.arrow      item ids, titles, attributes and purchase counts, by item index
    vectors.npy         title vectors, by item index
    customers.arrow     the history of every customer, and the purchases of guests
    encoder/            the sentence encoder in ONNX format; missing if it cannot be exported
    networks/           exported networks, such as networks/seed_42/classifier.safetensors
    checksums.sha256    SHA-256 of every file above, as ``sha256sum --check`` reads it

This module needs neither Kedro nor TensorFlow.
"""

import hashlib
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import pyarrow as pa
from pydantic import ValidationError

from bazar.atomic import find_saved_path
from bazar.config.base import format_validation_errors
from bazar.config.models import BlendComponent
from bazar.config.recommendation import BundleOptions
from bazar.data.catalogue import Products
from bazar.data.mapped_arrays import map_array
from bazar.data.onnx_encoder import FILES
from bazar.data.windows import Windows
from bazar.errors import InputError
from bazar.models.exported.files import SUFFIX, read_exported_network, write_exported_network
from bazar.models.exported.network import ExportedNetwork
from bazar.models.registry import get_network_path, name_components, select_weighted_components

OPTIONS, PRODUCTS, VECTORS, CUSTOMERS, ENCODER, NETWORKS, CHECKSUMS = (
    "bundle.json", "products.arrow", "vectors.npy", "customers.arrow", "encoder", "networks",
    "checksums.sha256",
)  # fmt: skip
"""The files of a bundle, relative to its folder; ``ENCODER`` and ``NETWORKS`` are
folders."""

CURRENT = "current"
"""Text file in ``data/06_models/<dataset>``: the relative path of the latest bundle."""

_ID_LENGTH = 16
_REQUIRED = (OPTIONS, PRODUCTS, VECTORS, CUSTOMERS)
_WRITE_AGAIN = "Copy the complete folder again, or run `kedro run --pipelines recommendation`."


@dataclass(frozen=True)
class Bundle:
    """Everything that recommendations are computed from.

    Attributes:
        options: the models and their parameters.
        products: the catalogue, by item index.
        customers: one row per customer, after the complete history. The sequences of guests, which
            the baselines count, are among its sequences, but have no row.
        networks: functions that load the exported networks, by
            :func:`~bazar.models.registry.get_network_path`, such as ``seed_42/classifier``.
        encoder_folder: folder that :meth:`bazar.data.onnx_encoder.OnnxEncoder.load` reads; None if
            the encoder cannot be exported.
        id: the first 16 digits of the SHA-256 of the checksums of all files; empty if the bundle
            was not read from files.
        folder: the folder that the bundle was read from; None if it was not read from files.
        encoder_id: a text that differs for encoders with other files; empty if the bundle was not
            read from files, or has no encoder.
    """

    options: BundleOptions
    products: Products
    customers: Windows
    networks: Mapping[str, Callable[[], ExportedNetwork]]
    encoder_folder: Path | None = None
    id: str = ""
    folder: Path | None = None
    encoder_id: str = ""


@dataclass(frozen=True)
class NetworkFile:
    """A file of an exported network that is checked and loaded when the object is called.

    Attributes:
        path: the file.
        sha256: its expected checksum.
    """

    path: Path
    sha256: str

    def __call__(self) -> ExportedNetwork:
        """Load the network.

        Raises:
            InputError: if the file is missing, its checksum is wrong, or it cannot be read.
        """
        _check_file(self.path, self.sha256)
        return read_exported_network(self.path)

    def save(self, path: Path) -> None:
        """Copy the file.

        Raises:
            InputError: if the file is missing or its checksum is wrong.
        """
        _check_file(self.path, self.sha256)
        shutil.copyfile(self.path, path)


def find_network_models(options: BundleOptions) -> list[tuple[str, int]]:
    """List the trained networks that a bundle needs, each with the seed of its training.

    These are the networks among ``options.models`` and the components of the blend that have a
    weight above 0.

    Args:
        options: the options of the bundle; ``weights`` is empty if no blend was trained.

    Returns:
        Pairs of model and seed, each once.
    """
    found: list[tuple[str, int]] = [
        (model, options.seed)
        for model in options.models
        if model != "blend" and BlendComponent(model=model).is_network
    ]
    if options.weights:
        named = name_components(options.blend, options.seed)
        found += [
            (component.model, seed)
            for component, seed in select_weighted_components(named, options.weights).values()
            if component.is_network
        ]
    return list(dict.fromkeys(found))


def find_network_paths(options: BundleOptions, trained: Collection[str]) -> list[str]:
    """List the paths of the networks that a bundle needs.

    Args:
        options: the options of the bundle.
        trained: paths of the networks that exist, as :func:`get_network_path` returns them.

    Raises:
        InputError: if a network does not exist.
    """
    paths = [get_network_path(*needed) for needed in find_network_models(options)]
    if missing := [path for path in paths if path not in trained]:
        raise InputError(
            f"The bundle needs networks that are not trained: {', '.join(missing)}.\n"
            "Train them (pipelines modelling_<model>), or remove them from recommendation.models "
            "or blend.components."
        )
    return paths


def write_bundle(bundle: Bundle, folder: Path) -> None:
    """Write a bundle into an empty folder, the checksums last.

    Args:
        bundle: the bundle. Only the networks that its models need are written.
        folder: created if it is missing.

    Raises:
        InputError: if the folder is not empty, a network is missing, or the products and the
            customers do not come from the same run.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise InputError(f"{folder} is not empty. Choose another folder for the bundle.")
    _check_purchase_counts(bundle)
    paths = find_network_paths(bundle.options, bundle.networks)
    (folder / OPTIONS).write_text(bundle.options.model_dump_json(indent=2) + "\n", encoding="utf-8")
    _write_table(bundle.products.to_table(), folder / PRODUCTS, "lz4")
    with (folder / VECTORS).open("wb") as file:
        np.save(file, bundle.products.vectors, allow_pickle=False)
    # Without compression, the customers can be mapped.
    _write_table(bundle.customers.to_arrow(), folder / CUSTOMERS, None)
    for path in paths:
        file_path = folder / NETWORKS / f"{path}{SUFFIX}"
        file_path.parent.mkdir(parents=True, exist_ok=True)
        load = bundle.networks[path]
        if isinstance(load, NetworkFile):
            load.save(file_path)
        else:
            write_exported_network(load(), file_path)
    if bundle.encoder_folder is not None:
        (folder / ENCODER).mkdir()
        for name in FILES:
            shutil.copyfile(bundle.encoder_folder / name, folder / ENCODER / name)
    _write_checksums(folder)


def read_bundle(folder: Path) -> Bundle:
    """Read a bundle after checking every file. Networks are loaded when they are called.

    Args:
        folder: the bundle's folder; see :func:`find_bundle`.

    Raises:
        InputError: naming the file that is missing, damaged, or of another version.
    """
    checksums = _read_checksums(folder)
    for name in (*_REQUIRED, *checksums):
        if name not in checksums:
            raise InputError(f"{folder / CHECKSUMS} does not list {name}.\n{_WRITE_AGAIN}")
        _check_file(folder / name, checksums[name])
    with _named_in_errors(folder / OPTIONS) as path:
        options = read_options(path)
    with _named_in_errors(folder / VECTORS) as path:
        vectors = map_array(path)
    with _named_in_errors(folder / PRODUCTS) as path:
        products = Products.from_table(_read_table(path), vectors)
    with _named_in_errors(folder / CUSTOMERS) as path:
        customers = Windows.from_arrow(_read_table(path))
    networks = {
        str(PurePosixPath(name).relative_to(NETWORKS).with_suffix("")): NetworkFile(
            folder / name, checksum
        )
        for name, checksum in checksums.items()
        if PurePosixPath(name).suffix == SUFFIX
    }
    of_encoder = sorted(
        f"{name} {checksum}"
        for name, checksum in checksums.items()
        if PurePosixPath(name).parts[0] == ENCODER
    )
    return Bundle(
        options,
        products,
        customers,
        networks,
        encoder_folder=folder / ENCODER if of_encoder else None,
        id=_compute_sha256(folder / CHECKSUMS)[:_ID_LENGTH],
        folder=folder,
        encoder_id=", ".join(of_encoder),
    )


def read_options(path: Path) -> BundleOptions:
    """Read ``bundle.json``.

    Raises:
        InputError: naming the keys that are missing or unknown.
    """
    try:
        return BundleOptions.model_validate_json(path.read_text(encoding="utf-8"))
    except ValidationError as error:
        raise InputError(
            f"{path} cannot be read. Another version of Bazar may have written it.\n"
            f"{format_validation_errors(error)}\n{_WRITE_AGAIN}"
        ) from error


def find_bundle(folder: str | Path) -> Path:
    """Find the bundle that a folder is or holds.

    Args:
        folder: a bundle, a folder with a bundle in its folder ``bundle``, or
            ``data/06_models/<dataset>``, where the file ``current`` names the bundle of the last
            finished run.

    Returns:
        The bundle's folder.

    Raises:
        InputError: if there is no bundle.
    """
    folder = Path(folder)
    # A run may be replacing the folder right now.
    for candidate in (find_saved_path(folder), find_saved_path(folder / "bundle")):
        if has_bundle(candidate):
            return candidate
    current = folder / CURRENT
    if current.is_file():
        bundle = find_saved_path(
            folder / current.read_text(encoding="utf-8", errors="replace").strip()
        )
        if has_bundle(bundle):
            return bundle
        raise InputError(
            f"{current} names {bundle}, where there is no {OPTIONS}.\n"
            "Run `kedro run --pipelines recommendation` to write the bundle."
        )
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}. {_find_hint(folder.parent)}")
    raise InputError(f"There is no bundle in {folder}. {_find_hint(folder)}")


def has_bundle(folder: Path) -> bool:
    """Return whether a folder is a bundle."""
    return (folder / OPTIONS).is_file()


def _find_hint(folder: Path) -> str:
    others = sorted(str(file.parent) for file in folder.glob(f"*/{CURRENT}"))
    if others:
        return f"Give one of: {', '.join(others)}."
    return (
        "Give the folder of a bundle, or data/06_models/<dataset> after `kedro run`, which "
        "writes the bundle."
    )


def _check_purchase_counts(bundle: Bundle) -> None:
    """Raise InputError if the customers did not buy what the products were bought."""
    counts = bundle.products.counts
    bought = np.bincount(bundle.customers.sequences.items, minlength=len(counts))
    if not np.array_equal(bought[1:], counts[1:]):
        raise InputError(
            "The products and the customers of the bundle come from different runs.\n"
            "Run the pipeline recommendation again."
        )


def _write_table(table: pa.Table, path: Path, compression: str | None) -> None:
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_file(str(path), table.schema, options=options) as writer:
        writer.write_table(table)


def _read_table(path: Path) -> pa.Table:
    """Read a table. What is not compressed is mapped, and not copied."""
    with pa.memory_map(str(path)) as source:
        return pa.ipc.open_file(source).read_all()


def _write_checksums(folder: Path) -> None:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    lines = [f"{_compute_sha256(path)}  {path.relative_to(folder).as_posix()}\n" for path in files]
    (folder / CHECKSUMS).write_text("".join(lines), encoding="utf-8")


def _read_checksums(folder: Path) -> dict[str, str]:
    path = folder / CHECKSUMS
    if not path.is_file():
        raise InputError(f"There is no {path}: the bundle is incomplete.\n{_WRITE_AGAIN}")
    checksums = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        checksum, separator, name = line.partition("  ")
        if not separator or ".." in PurePosixPath(name).parts or name.startswith("/"):
            raise InputError(f"{path} has the malformed line {line!r}.\n{_WRITE_AGAIN}")
        checksums[name] = checksum
    return checksums


def _check_file(path: Path, sha256: str) -> None:
    if not path.is_file():
        raise InputError(f"There is no {path}: the bundle is incomplete.\n{_WRITE_AGAIN}")
    found = _compute_sha256(path)
    if found != sha256:
        raise InputError(
            f"{path} is damaged or was replaced: its checksum is wrong.\n"
            f"  expected sha256 {sha256}\n  found sha256    {found}\n{_WRITE_AGAIN}"
        )


def _compute_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _named_in_errors(path: Path) -> Iterator[Path]:
    """Raise InputError with the name of the file if it cannot be read."""
    try:
        yield path
    except (pa.ArrowException, OSError, ValueError, KeyError, EOFError) as error:
        raise InputError(f"{path} cannot be read: {error}\n{_WRITE_AGAIN}") from error
