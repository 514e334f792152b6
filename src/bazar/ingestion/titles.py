"""Titles as people read them: without entities, tags, and letters that nobody sees."""

import html
import re
from html.parser import HTMLParser
from urllib.parse import unquote

import ibis
import pyarrow as pa
import pyarrow.compute as pc

LONGEST = 1000
"""Letters of a title that are kept; encoders read fewer."""

# Zero-width space, word joiner, byte order mark, soft hyphen; marks that turn the direction of the
# text around them. The zero-width joiners stay: emoji and some scripts are written with them.
_UNSEEN = re.compile("[\u200b\u2060\ufeff\u00ad\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_SPACE = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")
_TO_CLEAN = (
    r"[&<\x00-\x1f\x7f-\x{a0}\x{ad}\x{1680}\x{2000}-\x{200f}\x{2028}-\x{202f}\x{205f}-\x{2069}"
    r"\x{3000}\x{feff}]|  |^ | $|getTime"
)
"""What :func:`clean_title` may change, in the words of RE2."""
_SCRIPT = "getTime"
"""Stands in what Amazon's pages of 2018 gave for a title where a script came first (Ni et al.
2019, notes on the metadata): such a text is not a title."""


def clean_title(title: str | None) -> str | None:
    """Clean a title.

    HTML entities are put as letters, tags and scripts are left out, white space is collapsed,
    invisible letters are dropped, and 1,000 letters are kept.

    Args:
        title: as a source gives it.

    Returns:
        The title; None where nothing is left, or the text is a script.
    """
    if title is None or _SCRIPT in title:
        return None
    if "&" in title:
        # Some sources escape twice.
        title = html.unescape(html.unescape(title))
    if "<" in title:
        title = _without_tags(title)
    title = _SPACE.sub(" ", _UNSEEN.sub("", title)).strip()
    return title[:LONGEST].rstrip() or None


@ibis.udf.scalar.pyarrow
def clean_titles(titles: str) -> str:
    """Clean titles on any backend; see :func:`clean_title`. An empty text stands for None."""
    return _where(titles, _TO_CLEAN, clean_title)


@ibis.udf.scalar.pyarrow
def unquote_names(names: str) -> str:
    """Turn a product's name in an address into words: ``Rose-Toner%2C-200-ml``."""
    return _where(names, "[-%]", _words)


def _words(name: str | None) -> str | None:
    return None if name is None else unquote(name.replace("-", " "))


def _where(texts, pattern, change):  # type: ignore[no-untyped-def]
    """Change the texts that match, and the long ones: most need no change."""
    if not isinstance(texts, pa.Array | pa.ChunkedArray):
        # Spark gives them one by one, and NaN for none.
        return change(texts if isinstance(texts, str) else None) or ""
    if isinstance(texts, pa.ChunkedArray):
        texts = texts.combine_chunks()
    long = pc.greater(pc.utf8_length(texts), LONGEST)
    chosen = pc.or_(pc.match_substring_regex(texts, pattern), long).fill_null(False)
    # DuckDB takes no null from a function.
    changed = [change(text) or "" for text in texts.filter(chosen).to_pylist()]
    return pc.replace_with_mask(texts, chosen, pa.array(changed, texts.type))


class _Words(HTMLParser):
    """Collects the text between tags, but for scripts and styles."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.words: list[str] = []
        self._inside = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside += tag in {"script", "style"}
        if tag in {"br", "div", "li", "p", "td"}:
            self.words.append(" ")

    def handle_endtag(self, tag: str) -> None:
        self._inside -= tag in {"script", "style"} and self._inside > 0

    def handle_data(self, data: str) -> None:
        if not self._inside:
            self.words.append(data)


def _without_tags(text: str) -> str:
    parser = _Words()
    parser.feed(text)
    parser.close()
    return "".join(parser.words)
