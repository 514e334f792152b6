"""Find the encoding of a text file from its first bytes."""

import codecs

from charset_normalizer import from_bytes

_BYTE_ORDER_MARKS = {
    # UTF-32 first, because its mark begins with that of UTF-16.
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
_CANDIDATES = [
    "cp1252",
    "cp1250",
    "cp1251",
    "cp1253",
    "cp1254",
    "cp1255",
    "cp1256",
    "cp1257",
    "cp874",
    "cp932",
    "euc_jp",
    "gb18030",
    "big5",
    "cp949",
    "koi8_r",
    "mac_roman",
    "cp850",
]
"""Encodings of Windows, macOS and DOS that exports have. The first one of equal rank is chosen."""
_PREFERENCE = 0.25
"""How much stranger text in Windows-1252 may look than in another encoding. It is by far the most
frequent one, and a text with many accents looks strange."""
_GUESSED_BYTES = 1 << 16
_ZEROS = 0.05
"""Minimum share of zero bytes in UTF-16 without a byte order mark: digits, commas, line ends."""


def find_byte_order_mark(head: bytes) -> str | None:
    """Return the encoding that the byte order mark of a text names, or None."""
    return next(
        (name for mark, name in _BYTE_ORDER_MARKS.items() if head.startswith(mark)),
        None,
    )


def detect_encoding(head: bytes) -> str:
    """Return the encoding of a text that begins with some bytes.

    Text that is mostly UTF-8 is UTF-8, even if some lines are not.
    """
    return find_byte_order_mark(head) or _find_utf16(head) or _guess_encoding(head)


def decode_head(head: bytes, encoding: str) -> str:
    """Return the text of the first bytes of a file, without a byte order mark.

    Bytes that cannot be decoded are replaced. The last character may be incomplete.
    """
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    return decoder.decode(head).removeprefix("\ufeff")


def _find_utf16(head: bytes) -> str | None:
    """Return the UTF-16 variant of a text without a byte order mark, or None."""
    first, second = head[0:4096:2], head[1:4096:2]
    zeros = first.count(0), second.count(0)
    if zeros[1] > _ZEROS * len(second) and zeros[1] > 10 * zeros[0]:
        return "utf-16-le"
    if zeros[0] > _ZEROS * len(first) and zeros[0] > 10 * zeros[1]:
        return "utf-16-be"
    return None


def _guess_encoding(head: bytes) -> str:
    lines = [line for line in head.split(b"\n") if not line.isascii()]
    wrong = [line for line in lines if not _is_utf8(line)]
    # The first bytes may end within a character.
    if wrong and wrong[-1] is lines[-1] and not head.endswith(b"\n") and _is_cut(wrong[-1]):
        wrong.pop()
    if 2 * len(wrong) <= len(lines):
        return "utf-8"
    text = b"\n".join(wrong)[:_GUESSED_BYTES]
    ranks = {}
    for name in _CANDIDATES:
        match = from_bytes(
            text,
            cp_isolation=[name],
            threshold=1.0,
            enable_fallback=False,
            preemptive_behaviour=False,
        ).best()
        if match is not None:
            ranks[name] = (match.chaos - _PREFERENCE * (name == "cp1252"), -match.coherence)
    return min(ranks, key=lambda name: ranks[name], default="utf-8")


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _is_cut(line: bytes) -> bool:
    """Return whether a line is UTF-8 up to an incomplete last character."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(line)
    except UnicodeDecodeError:
        return False
    return True
