from io import StringIO

import pytest
from rich.console import Console

from bazar.cli.console import print_recommendations, print_similar
from bazar.serving.answers import Recommendation, Recommendations


def print_answer(text: str, width: int = 120) -> str:
    """Return what is printed for a customer and products that are all called the same."""
    product = Recommendation(1, text, text, 0.5, text, text, 0.25)
    answer = Recommendations("ease", (product,), (text,))
    console = Console(file=StringIO(), width=width)
    print_recommendations(answer, [text], text, console)
    print_similar(answer, text, text, console)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize(
    "text",
    ["[red]x[/red]", "[/]", ":heart:", "50%", "%s", "{0}", "a, b", "日本", "🙂", "nan", "back\\up"],
)
def test_texts_are_printed_as_they_are(text: str) -> None:
    printed = print_answer(text)
    assert f"Purchases of customer {text}, the latest last:" in printed
    assert f"\n1 {text}" in printed
    assert f"Not in the catalogue: {text}\n" in printed
    assert f"Similar to {text}, by" in printed
    rows = [line for line in printed.splitlines() if " 0.5 " in line]
    assert [line.count(text) for line in rows] == [3, 2]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb", r"a\nb"),
        ("a\r\tb", r"a\r\tb"),
        ("a\0b", r"a\x00b"),
        ("a\x1b[2Jb", r"a\x1b[2Jb"),
        ("a\u2028b", r"a\u2028b"),
        ("a\u202eb", r"a\u202eb"),
        ("a\udcffb", r"a\udcffb"),
    ],
)
def test_control_characters_are_escaped(text: str, shown: str) -> None:
    assert print_answer(text) == print_answer(shown)


@pytest.mark.parametrize("width", [40, 80])
def test_wide_characters_are_folded_and_not_cut(width: int) -> None:
    printed = print_answer("日本語の商品番号" * 3, width)
    assert "…" not in printed
    rows = printed[printed.index("recommends:") : printed.index("Similar")]
    assert rows.count("番") == (9 if width == 80 else 6)
