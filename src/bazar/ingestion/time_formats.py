"""Compile time formats to regular expressions that have the same meaning in RE2 and in Java."""

import re
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

from bazar.ingestion.parsing import WHITE

_GAP = r"[ \t\n\r\x0B\f\x{A0}\x{202F}]"
"""Whitespace within a time. Some programs write a narrow no-break space before AM and PM."""
ZONE_OFFSETS = {
    "EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7,
    "WET": 0, "WEST": 1, "CET": 1, "CEST": 2, "EET": 2, "EEST": 3,
}  # fmt: skip
"""Hours east of UTC by abbreviation: the zones of e-mail (RFC 5322), and those of Europe. Others,
such as IST and BST, stand for several zones."""
_ZONE_NAMES = "|".join(ZONE_OFFSETS)
_PATTERNS = {
    "Y": r"(\d{4})",
    "y": r"(\d{2})",
    "m": r"(\d{1,2})",
    "d": r"(\d{1,2})",
    "b": r"(\p{L}{3,})\.?",
    "H": r"([01]?\d|2[0-3])",
    "I": r"(0?[1-9]|1[0-2])",
    "M": r"([0-5]?\d)",
    "S": r"([0-5]?\d)",
    "f": r"(\d+)",
    "p": rf"([aApP])\.?{_GAP}?[mM]\.?",
    "z": rf"([+-]\d\d(?::?[0-5]\d)?|[zZ]|[uU][tT][cC]|[gG][mM][tT]|{_ZONE_NAMES})",
    "Z": rf"([zZ]|[uU][tT][cC]|[gG][mM][tT]|{_ZONE_NAMES})",
}
"""Pattern of each directive, with one group."""
_TWO_DIGITS = _PATTERNS | {
    "m": r"(\d{2})",
    "d": r"(\d{2})",
    "H": r"([01]\d|2[0-3])",
    "I": r"(0[1-9]|1[0-2])",
    "M": r"([0-5]\d)",
    "S": r"([0-5]\d)",
}
"""Patterns of directives beside other digits, as in ``%Y%m%d``."""
_OTHER_NAMES = {"B": "b", "Z": "z"}
"""Directives whose values are computed as those of another directive."""
_DIGITS = "YymdHIMSf"
_TOKEN = re.compile(r"%(?P<directive>[A-Za-z])|(?P<gap>\s+)|%?(?P<literal>.)", re.DOTALL)
_WEEKDAYS = (
    "mon tue wed thu fri sat sun lun mar mié mie jue vie sáb sab dom mo di mi do fr sa so "
    "mer jeu ven sam dim seg ter qua qui sex"
)
"""First letters of the weekdays in all five languages."""
MONTH_NAMES = {
    1: "january jan enero ene januar jänner jän janvier janv janeiro",
    2: "february feb febrero februar feber février fevrier févr fevr fév fevereiro fev",
    3: "march mar marzo märz maerz mär mrz mars março marco",
    4: "april apr abril abr avril avr",
    5: "may mayo mai maio",
    6: "june jun junio juni juin junho",
    7: "july jul julio juli juillet juil julho",
    8: "august aug agosto ago août aout",
    9: "september sep sept septiembre setiembre set septembre setembro",
    10: "october oct octubre oktober okt octobre outubro out",
    11: "november nov noviembre novembre novembro",
    12: "december dec diciembre dic dezember dez décembre decembre déc dezembro",
}
"""Names and abbreviations in English, Spanish, German, French and Portuguese."""


@dataclass(frozen=True)
class TimePattern:
    """A regular expression, and the number of the group of each directive."""

    regex: str
    groups: dict[str, int]

    def fits(self, text: str) -> bool:
        """Return whether the text matches. Only the weekday may be any word, unlike in engines."""
        return _compile_for_python(self.regex).search(text) is not None


ISO = TimePattern(
    rf"^{WHITE}*"
    r"(\d{4})[-/](\d{1,2})[-/](\d{1,2})"
    r"(?:[Tt ] *([01]?\d|2[0-3]):([0-5]?\d)(?::([0-5]?\d)(?:[.,](\d*))?)?"
    rf" *(?:([+-]\d\d(?::?[0-5]\d)?|[Zz]|UTC|utc|GMT|{_ZONE_NAMES}))?)?"
    rf"{WHITE}*\z",
    {name: number for number, name in enumerate("YmdHMSfz", start=1)},
)
"""ISO 8601, and the variants that programs write: spaces, slashes, numbers without zeros."""


@cache
def compile_format(time_format: str) -> TimePattern:
    """Compile a format to a regular expression with at most nine groups.

    Square brackets enclose an optional part. Whitespace matches any whitespace, and letters match
    both cases. A weekday before a date with a month's name, such as ``Fri,``, is ignored.

    Args:
        time_format: a format with the directives ``Y y m d H I M S f p b B z Z``, for example
            ``%d.%m.%Y[ %H:%M]``, as :class:`bazar.config.sources.InteractionSource` accepts it.
    """
    tokens = list(_TOKEN.finditer(time_format))
    # Brackets are neither digits nor separators.
    parts = [token for token in tokens if token.group() not in ("[", "]")]
    beside_digits = set()
    for left, right in pairwise(parts):
        if _is_digits(left) and _is_digits(right):
            beside_digits |= {left["directive"], right["directive"]}
    groups: dict[str, int] = {}
    body = ""
    for token in tokens:
        if (name := token["directive"]) is not None:
            name = "b" if name == "B" else name
            body += (_TWO_DIGITS if name in beside_digits else _PATTERNS)[name]
            groups[_OTHER_NAMES.get(name, name)] = len(groups) + 1
        elif token["gap"]:
            body += f"{_GAP}+"
        elif token.group() in ("[", "]"):
            body += "(?:" if token.group() == "[" else ")?"
        else:
            body += _match_both_cases(token["literal"])
    weekday = _match_weekday() if "b" in groups else ""
    return TimePattern(rf"^{WHITE}*{weekday}{body}{WHITE}*\z", groups)


def _is_digits(token: re.Match[str]) -> bool:
    return token["directive"] is not None and token["directive"] in _DIGITS


def _match_both_cases(text: str) -> str:
    """Return a pattern for the text. Ignoring case by a flag differs between the engines."""
    return "".join(
        f"[{letter.lower()}{letter.upper()}]" if letter.isalpha() else re.escape(letter)
        for letter in text
    )


@cache
def _match_weekday() -> str:
    names = "|".join(_match_both_cases(name) for name in _WEEKDAYS.split())
    return rf"(?:(?:{names})\p{{L}}*(?:-feira)?\.?,?{_GAP}+)?"


@cache
def _compile_for_python(regex: str) -> re.Pattern[str]:
    # Compiling the names of the weekdays takes long. Any word at the start is good enough here.
    python = regex.replace(_match_weekday(), rf"(?:[^\W\d_]+\.?,?{_GAP}+)?")
    for found, replacement in ((r"\z", r"\Z"), (r"\p{L}", r"[^\W\d_]")):
        python = python.replace(found, replacement)
    return re.compile(re.sub(r"\\x{(\w+)}", lambda code: chr(int(code[1], 16)), python))
