"""Tables of formatted cells, and functions that format numbers.

The functions that build a table choose the columns and format the numbers.
:meth:`ResultTable.to_markdown` renders a table as Markdown.
"""

from dataclasses import dataclass
from typing import Any

MISSING = "–"
"""Text of a cell without a value."""


@dataclass(frozen=True)
class ResultTable:
    """A table of formatted cells.

    Attributes:
        headings: headings of the columns.
        rows: cells of each row, one per column.
        text_columns: positions of the columns with text, which are left-aligned. All other columns
            contain numbers and are right-aligned.
    """

    headings: list[str]
    rows: list[list[str]]
    text_columns: frozenset[int] = frozenset({0})

    def to_markdown(self) -> str:
        """Return the table as Markdown, without a line break at the end.

        Raises:
            ValueError: if a row has more or fewer cells than there are headings.
        """
        alignments = [
            "---" if column in self.text_columns else "---:" for column in range(len(self.headings))
        ]
        lines = [self.headings, alignments, *self.rows]
        if any(len(cells) != len(self.headings) for cells in lines):
            raise ValueError(f"Every row must have {len(self.headings)} cells.")
        return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def format_number(value: float | None, spec: str, unit: str = "") -> str:
    """Return a number with a format specification and a unit, or :data:`MISSING` for None."""
    return MISSING if value is None else format(value, spec) + unit


def format_estimate(estimate: dict[str, Any]) -> str:
    """Return a metric over several seeds as ``mean ± sd [low, high]``.

    Args:
        estimate: ``mean``; ``sd``, the standard deviation over seeds, which is omitted if it is
            None (one seed); and ``ci95``, the 95% interval over users.
    """
    low, high = estimate["ci95"]
    spread = "" if estimate["sd"] is None else f" ± {estimate['sd']:.4f}"
    return f"{estimate['mean']:.4f}{spread} [{low:.4f}, {high:.4f}]"


def format_difference(difference: float, low: float, high: float) -> str:
    """Return a difference with its 95% interval as ``+difference [+low, +high]``."""
    return f"{difference:+.4f} [{low:+.4f}, {high:+.4f}]"


def format_p_value(p: float) -> str:
    """Return a p-value with three decimals, or ``< 0.001``."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
