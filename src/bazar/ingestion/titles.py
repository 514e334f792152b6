"""Clean titles: decode HTML, repair encodings, and remove tags and invisible characters."""

import html
import re
from html.parser import HTMLParser
from urllib.parse import unquote

import ftfy
import ibis
import pyarrow as pa
import pyarrow.compute as pc

MAX_TITLE_LENGTH = 1000
"""Maximum number of characters of a title. Sentence encoders read fewer."""

# Zero-width space, word joiner, byte order mark, soft hyphen, and marks of text direction. The
# zero-width joiners are kept, because emoji and some scripts need them.
_INVISIBLE = re.compile("[\u200b\u2060\ufeff\u00ad\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_SPACE = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")
# Bytes 80 to BF of UTF-8, as Latin-1 or Windows-1252 shows them.
_CONTINUATION = "\x80-\xbf" + bytes(range(0x80, 0xA0)).decode("cp1252", "ignore")
# The second part is "à", of which the no-break space became a space.
_MISREAD = re.compile(f"[\xc2-\xf4][{_CONTINUATION}]|(?:^| )\xc3 [a-z]")
# A Portuguese word in capitals before a no-break space, which is not "à".
_ENDS_WITH_CAPITAL = re.compile("(?<=[A-Z\xc0-\xde]\xc3)\xa0")
_MISSING = re.compile(r"(?i:nan|null|none)|\\N")
_TO_CLEAN = (
    r"[&<\x00-\x1f\x7f-\x{a0}\x{ad}\x{1680}\x{2000}-\x{200f}\x{2028}-\x{202f}\x{205f}-\x{2069}"
    r"\x{3000}\x{feff}]|  |^ | $|getTime|"
    rf"^(?:{_MISSING.pattern})$|{_MISREAD.pattern}"
)
"""Pattern (RE2) of the titles that :func:`clean_title` may change."""
_SCRIPT = "getTime"
"""Part of a script that Amazon's data of 2018 sometimes has instead of the title (Ni et al. 2019,
notes on the metadata)."""


def clean_title(title: str | None) -> str | None:
    r"""Clean a title.

    HTML entities are decoded, tags and scripts are removed, UTF-8 that was read as Latin-1 or
    Windows-1252 is repaired (``CrÃ¨me`` becomes ``Crème``), whitespace is collapsed, invisible
    characters are removed, and the first 1,000 characters are kept. Cleaning a clean title does
    not change it.

    Args:
        title: the raw text.

    Returns:
        The title, or None if it is empty, a script, or a text that stands for a missing value:
        ``nan``, ``null`` and ``none`` in any case, ``<NA>`` and ``\N``.
    """
    cleaned = _clean_once(title)
    while cleaned is not None and cleaned != title:
        # Some sources escape entities several times, and an entity may be a part of a tag.
        title, cleaned = cleaned, _clean_once(cleaned)
    return cleaned


def _clean_once(title: str | None) -> str | None:
    if title is None or _SCRIPT in title:
        return None
    if "&" in title:
        title = html.unescape(title)
    if "<" in title:
        title = _remove_tags(title)
    if _MISREAD.search(title):
        title = ftfy.fix_encoding(_ENDS_WITH_CAPITAL.sub(" ", title))
    title = _SPACE.sub(" ", _INVISIBLE.sub("", title)).strip()
    return None if _MISSING.fullmatch(title) else title[:MAX_TITLE_LENGTH].rstrip() or None


@ibis.udf.scalar.pyarrow
def clean_titles(titles: str) -> str:
    """Clean titles on any backend; see :func:`clean_title`. Null becomes ``""``."""
    return apply_to_matches(titles, _TO_CLEAN, clean_title)


@ibis.udf.scalar.pyarrow
def decode_url_names(names: str) -> str:
    """Decode product names in URLs, such as ``Rose-Toner%2C-200-ml``, on any backend."""
    return apply_to_matches(names, "[-%]", _unquote_name)


def _unquote_name(name: str) -> str:
    return unquote(name.replace("-", " "))


def apply_to_matches(texts, pattern, change):  # type: ignore[no-untyped-def]
    """Apply a change to the texts that match a pattern or are long, on any backend.

    Args:
        texts: an Arrow array, or one text on Spark.
        pattern: RE2 pattern. Where most texts need no change, few of them become Python objects.
        change: returns the new text, or None, which becomes ``""``.
    """
    if not isinstance(texts, pa.Array | pa.ChunkedArray):
        # Spark passes one text at a time, and NaN for null.
        return (change(texts) or "") if isinstance(texts, str) else ""
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
