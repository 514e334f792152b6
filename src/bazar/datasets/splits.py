"""Catalog type of the training, validation and test rows."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa

from bazar.atomic import AtomicSave, find_saved_path
from bazar.data.splits import Splits
from bazar.data.windows import Windows
from bazar.datasets.local import LocalDataset
from bazar.datasets.preview import TablePreview

_PARTS = ("train", "validation", "test")
_COUNTS = ("training_counts", "recent_counts")
_SUMMARY = "split_summary.json"


class _SplitsFolder(LocalDataset):
    def load(self) -> Splits:
        folder = find_saved_path(Path(self._filepath))
        train, validation, test = (_read_windows(folder / f"{name}.arrow") for name in _PARTS)
        training_counts, recent_counts = (
            np.load(folder / f"{name}.npy", allow_pickle=False) for name in _COUNTS
        )
        summary = json.loads((folder / _SUMMARY).read_text(encoding="utf-8"))
        return Splits(train, validation, test, training_counts, recent_counts, summary)

    def save(self, data: Splits) -> None:
        folder = Path(self._filepath)
        folder.mkdir(parents=True)
        for name in _PARTS:
            table = getattr(data, name).to_arrow()
            with pa.ipc.new_file(str(folder / f"{name}.arrow"), table.schema) as writer:
                writer.write_table(table)
        for name in _COUNTS:
            np.save(folder / f"{name}.npy", getattr(data, name), allow_pickle=False)
        (folder / _SUMMARY).write_text(json.dumps(data.summary, indent=2), encoding="utf-8")


class SplitsDataset(AtomicSave, _SplitsFolder):
    """A folder with the rows of each part and the item counts. Rows are memory-mapped.

    A save replaces the complete folder, so that all parts are from the same run.
    """

    def preview(self, nrows: int = 5) -> TablePreview:
        """Return the first test rows for Kedro-Viz.

        Args:
            nrows: number of rows.
        """
        rows = self.load().test.slice_rows(0, nrows)
        histories = [" ".join(str(item) for item in row if item) for row in rows.build_histories()]
        numbers, items = rows.list_targets()
        targets = [" ".join(map(str, items[numbers == row])) for row in range(len(rows))]
        data = zip(rows.user_ids.to_pylist(), histories, targets, strict=True)
        return TablePreview(
            {
                "index": list(range(len(rows))),
                "columns": ["user_id", "history", "targets"],
                "data": [list(row) for row in data],
            }
        )

    def _exists(self) -> bool:
        return find_saved_path(Path(self._filepath)).is_dir()


def _read_windows(path: Path) -> Windows:
    with pa.memory_map(str(path)) as source:
        return Windows.from_arrow(pa.ipc.open_file(source).read_all())
