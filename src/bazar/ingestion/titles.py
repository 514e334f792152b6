"""Clean titles: decode HTML entities, and remove tags and invisible characters."""

import html
import re
from html.parser import HTMLParser
from urllib.parse import unquote

import ibis
import pyarrow as pa
import pyarrow.compute as pc

MAX_TITLE_LENGTH = 1000
"""Maximum number of characters of a title. Sentence encoders read fewer."""

# Zero-width space, word joiner, byte order mark, soft hyphen, and marks of text direction. The
# zero-width joiners are kept, because emoji and some scripts need them.
_INVISIBLE = re.compile("[\u200b\u2060\ufeff\u00ad\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_SPACE = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")
_TO_CLEAN = (
    r"[&<\x00-\x1f\x7f-\x{a0}\x{ad}\x{1680}\x{2000}-\x{200f}\x{2028}-\x{202f}\x{205f}-\x{2069}"
    r"\x{3000}\x{feff}]|  |^ | $|getTime"
)
"""Pattern (RE2) of the titles that :func:`clean_title` may change."""
_SCRIPT = "getTime"
"""Part of a script that Amazon's data of 2018 sometimes has instead of the title (Ni et al. 2019,
notes on the metadata)."""


def clean_title(title: str | None) -> str | None:
    """Clean a title.

    HTML entities are decoded, tags and scripts are removed, whitespace is collapsed, invisible
    characters are removed, and the first 1,000 characters are kept.

    Args:
        title: the raw text.

    Returns:
        The title, or None if it is empty or a script.
    """
    if title is None or _SCRIPT in title:
        return None
    if "&" in title:
        # Some sources escape entities twice.
        title = html.unescape(html.unescape(title))
    if "<" in title:
        title = _remove_tags(title)
    title = _SPACE.sub(" ", _INVISIBLE.sub("", title)).strip()
    return title[:MAX_TITLE_LENGTH].rstrip() or None


@ibis.udf.scalar.pyarrow
def clean_titles(titles: str) -> str:
    """Clean titles on any backend; see :func:`clean_title`. Null becomes ``""``."""
    return _apply_to_matches(titles, _TO_CLEAN, clean_title)


@ibis.udf.scalar.pyarrow
def decode_url_names(names: str) -> str:
    """Decode product names in URLs, such as ``Rose-Toner%2C-200-ml``, on any backend."""
    return _apply_to_matches(names, "[-%]", _unquote_name)


def _unquote_name(name: str | None) -> str | None:
    return None if name is None else unquote(name.replace("-", " "))


def _apply_to_matches(texts, pattern, change):  # type: ignore[no-untyped-def]
    """Apply ``change`` only to texts that match the pattern or are long. Most texts do not."""
    if not isinstance(texts, pa.Array | pa.ChunkedArray):
        # Spark passes one text at a time, and NaN for null.
        return change(texts if isinstance(texts, str) else None) or ""
    if isinstance(texts, pa.ChunkedArray):
        texts = texts.combine_chunks()
    long = pc.greater(pc.utf8_length(texts), MAX_TITLE_LENGTH)
    is_selected = pc.or_(pc.match_substring_regex(texts, pattern), long).fill_null(False)
    # A function must not return null to DuckDB.
    changed = [change(text) or "" for text in texts.filter(is_selected).to_pylist()]
    return pc.replace_with_mask(texts, is_selected, pa.array(changed, texts.type))


class _TextParser(HTMLParser):
    """Collects the text outside tags, scripts and styles."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.words: list[str] = []
        self._open_scripts = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open_scripts += tag in {"script", "style"}
        if tag in {"br", "div", "li", "p", "td"}:
            self.words.append(" ")

    def handle_endtag(self, tag: str) -> None:
        self._open_scripts -= tag in {"script", "style"} and self._open_scripts > 0

    def handle_data(self, data: str) -> None:
        if not self._open_scripts:
            self.words.append(data)


def _remove_tags(text: str) -> str:
    parser = _TextParser()
    parser.feed(text)
    parser.close()
    return "".join(parser.words)
