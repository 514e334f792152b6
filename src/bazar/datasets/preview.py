"""The type of previews that Kedro-Viz shows."""

from typing import NewType

TablePreview = NewType("TablePreview", dict)
"""A table: ``{"index": …, "columns": …, "data": …}``. Kedro-Viz recognizes the type by its name."""
