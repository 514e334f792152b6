"""Catalog type of the results of models on the test part, as files in one folder."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from functools import cached_property, partial
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd
from kedro.io import AbstractDataset

from bazar.atomic import atomic_path
from bazar.datasets.preview import TablePreview
from bazar.evaluation.results import ModelResults

_METRICS, _RANKS, _RECOMMENDATIONS = "_metrics.json", "_ranks.parquet", "_recommendations.parquet"
_TRAINING, _TRAINING_LOG = "_training.json", "_training_log.csv"


class ResultsDataset(AbstractDataset):
    """The results of some models: ``<model>_metrics.json`` and the tables beside it.

    A save replaces the files of the saved models and keeps the files of other models, so that a
    node can yield one model at a time. A load returns only models that have results. Tables are
    read when they are used.
    """

    def __init__(
        self,
        *,
        filepath: str,
        models: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Store the folder.

        Args:
            filepath: path of the folder.
            models: names of the models. None: all models in the folder and its subfolders, named
                by their relative paths, such as ``seed_42/classifier``.
            metadata: metadata for Kedro-Viz.
        """
        self._filepath = PurePosixPath(filepath)
        self._models = models
        self.metadata = metadata

    def load(self) -> dict[str, ModelResults]:
        """Return the results by the name of the model."""
        folder = Path(self._filepath)
        return {name: _StoredResults(folder / name) for name in self._find_models()}

    def save(self, data: dict[str, ModelResults]) -> None:
        """Write the files of each model, and replace the earlier files when all are complete."""
        for name, results in data.items():
            with ExitStack() as files:
                open_file = partial(_open_file, files, Path(self._filepath) / name)
                # Files are replaced in reverse order. The metrics mark complete results: last.
                _write_json(open_file(_METRICS), results.metrics)
                if results.training is not None:
                    _write_json(open_file(_TRAINING), results.training)
                if results.training_log is not None:
                    results.training_log.to_csv(open_file(_TRAINING_LOG), index=False)
                results.ranks.to_parquet(open_file(_RANKS), index=False)
                results.recommendations.to_parquet(open_file(_RECOMMENDATIONS), index=False)

    def preview(self, nrows: int = 20) -> TablePreview:
        """Return the metrics of the results that come first for Kedro-Viz, one row per model.

        Args:
            nrows: number of models.
        """
        shown = {name: results.metrics for name, results in list(self.load().items())[:nrows]}
        columns = ["hr@10", "recall@10", "ndcg@10"]
        return TablePreview(
            {
                "index": list(range(len(shown))),
                "columns": ["model", *columns],
                "data": [
                    [name, *(metrics[metrics["filter_mode"]][column] for column in columns)]
                    for name, metrics in shown.items()
                ],
            }
        )

    def _find_models(self) -> Iterator[str]:
        folder = Path(self._filepath)
        if self._models is not None:
            yield from (
                name for name in self._models if _add_suffix(folder / name, _METRICS).is_file()
            )
            return
        for file in sorted(folder.rglob(f"[!.]*{_METRICS}")):
            yield file.relative_to(folder).as_posix().removesuffix(_METRICS)

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath), "models": self._models}

    def _exists(self) -> bool:
        return any(True for _ in self._find_models())


class _StoredResults(ModelResults):
    """Results that are read from their files when they are used."""

    def __init__(self, model: Path) -> None:
        # The base class is a frozen dataclass: its fields are the cached properties below.
        object.__setattr__(self, "_model", model)

    @cached_property
    def metrics(self) -> dict[str, Any]:
        return json.loads(self._path(_METRICS).read_text(encoding="utf-8"))

    @cached_property
    def ranks(self) -> pd.DataFrame:
        return pd.read_parquet(self._path(_RANKS))

    @cached_property
    def recommendations(self) -> pd.DataFrame:
        return pd.read_parquet(self._path(_RECOMMENDATIONS))

    @cached_property
    def training(self) -> dict[str, Any] | None:
        path = self._path(_TRAINING)
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None

    @cached_property
    def training_log(self) -> pd.DataFrame | None:
        path = self._path(_TRAINING_LOG)
        return pd.read_csv(path) if path.is_file() else None

    def _path(self, suffix: str) -> Path:
        return _add_suffix(self._model, suffix)  # type: ignore[attr-defined]


def _add_suffix(model: Path, suffix: str) -> Path:
    return model.with_name(f"{model.name}{suffix}")


def _open_file(files: ExitStack, model: Path, suffix: str) -> Path:
    """Return a temporary path, which replaces the file of the model when the stack is closed."""
    return files.enter_context(atomic_path(_add_suffix(model, suffix)))


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2), encoding="utf-8")
