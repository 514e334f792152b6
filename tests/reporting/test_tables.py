import pytest

from bazar.reporting.tables import (
    ResultTable,
    format_difference,
    format_estimate,
    format_number,
    format_p_value,
)


def test_markdown_aligns_text_left_and_numbers_right() -> None:
    table = ResultTable(["model", "seeds", "outcome"], [["EASE", "–", "ok"]], frozenset({0, 2}))
    assert table.to_markdown().splitlines() == [
        "| model | seeds | outcome |",
        "| --- | ---: | --- |",
        "| EASE | – | ok |",
    ]


def test_a_row_with_a_missing_cell_raises() -> None:
    with pytest.raises(ValueError, match="2 cells"):
        ResultTable(["model", "seeds"], [["EASE"]]).to_markdown()


def test_numbers_are_formatted() -> None:
    assert format_number(1234.5, ",.1f", " s") == "1,234.5 s"
    assert format_number(None, ",.1f", " s") == "–"
    assert (
        format_estimate({"mean": 0.5, "sd": None, "ci95": [0.4, 0.6]}) == "0.5000 [0.4000, 0.6000]"
    )
    assert format_estimate({"mean": 0.5, "sd": 0.01, "ci95": [0.4, 0.6]}) == (
        "0.5000 ± 0.0100 [0.4000, 0.6000]"
    )
    assert format_difference(-0.1, -0.2, 0.05) == "-0.1000 [-0.2000, +0.0500]"
    assert format_p_value(0.0009) == "< 0.001"
    assert format_p_value(0.001) == "0.001"
