"""Catalog type of the bundle that a Recommender loads."""

from pathlib import Path

from bazar.atomic import atomic_path, find_saved_path
from bazar.datasets.local import LocalDataset
from bazar.serving.bundle import Bundle, has_bundle, read_bundle, write_bundle


class BundleDataset(LocalDataset):
    """A bundle in its own folder. A save replaces the complete folder."""

    def load(self) -> Bundle:
        """Read the bundle and verify its checksums. Networks are loaded at their first use."""
        return read_bundle(find_saved_path(Path(self._filepath)))

    def save(self, data: Bundle) -> None:
        """Write the bundle to a temporary folder, then rename it."""
        with atomic_path(Path(self._filepath)) as temporary:
            write_bundle(data, temporary)

    def _exists(self) -> bool:
        return has_bundle(find_saved_path(Path(self._filepath)))
