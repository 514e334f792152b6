"""Format figures, and write tables into pages of the documentation."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np


def format_spread(values: Sequence[float]) -> str:
    """Return the mean and, of several values, the standard deviation.

    Args:
        values: at least one value.
    """
    spread = f" ± {np.std(values, ddof=1):.4f}" if len(values) > 1 else ""
    return f"{np.mean(values):.4f}{spread}"


def write_section(page: Path, kind: str, text: str, name: str = "") -> None:
    """Replace the text of a section of a page, or exit if the page has no such section.

    Args:
        page: file of the page. The section is between the comment marks ``<!-- kind: name -->`` and
            ``<!-- /kind -->``.
        kind: kind of the section.
        text: the new text, without line breaks around it.
        name: name of the section; empty if the page has one section of this kind.
    """
    start, end = f"<!-- {kind}: {name} -->" if name else f"<!-- {kind} -->", f"<!-- /{kind} -->"
    content = page.read_text(encoding="utf-8")
    pattern = re.compile(rf"{re.escape(start)}\n.*?{re.escape(end)}", re.DOTALL)
    if not pattern.search(content):
        sys.exit(f"{page} has no section {start} ... {end}. Add these two lines.")
    section = f"{start}\n\n{text}\n\n{end}"
    page.write_text(pattern.sub(lambda _: section, content), encoding="utf-8")
