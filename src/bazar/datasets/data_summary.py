"""Catalog type of the data summary: a page, and its numbers in a JSON file beside it."""

from pathlib import Path

from bazar.atomic import atomic_path
from bazar.datasets.local import LocalDataset
from bazar.reporting.data_summary import DataSummary
from bazar.reporting.data_summary_page import render_data_summary


class DataSummaryDataset(LocalDataset):
    """The page at ``filepath``, and ``<name>.json`` beside it, from which the summary is loaded."""

    def load(self) -> DataSummary:
        """Return the summary."""
        return DataSummary.model_validate_json(self._json_path.read_text(encoding="utf-8"))

    def save(self, data: DataSummary) -> None:
        """Write the page and the numbers. Earlier files are replaced when both are complete."""
        page = render_data_summary(data)
        with (
            atomic_path(self._json_path) as json_file,
            atomic_path(Path(self._filepath)) as page_file,
        ):
            json_file.write_text(data.model_dump_json(indent=2), encoding="utf-8")
            page_file.write_text(page, encoding="utf-8")

    @property
    def _json_path(self) -> Path:
        return Path(self._filepath).with_suffix(".json")
