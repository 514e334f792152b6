"""Show the references in docstrings, such as :class:`~bazar.Recommender`, as plain code."""

import re

_ROLE = re.compile(r":(?:attr|class|data|exc|func|meth|mod):\s*<code>(~?)([\w.]+)</code>")


def on_page_content(html: str, **_: object) -> str:
    """Return the HTML of a page without the names of roles.

    A reference that starts with ``~`` is shown by its last part.
    """
    return _ROLE.sub(_show_name, html)


def _show_name(match: re.Match[str]) -> str:
    is_short, name = match.groups()
    return f"<code>{name.rpartition('.')[2] if is_short else name}</code>"
