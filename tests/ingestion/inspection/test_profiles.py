"""The content of columns, and whether it contradicts their names."""

import pytest

from bazar.ingestion.inspection.header_names import Role
from bazar.ingestion.inspection.profiles import Profile, find_contradiction, profile_texts


def profile(*values: str | None) -> Profile:
    return profile_texts("name", values)


def test_shares_are_of_the_values_that_are_not_empty() -> None:
    found = profile("1", "2.5", "x y", None, " ", "NaN", "NULL", "1")
    assert (found.filled, found.values, found.distinct) == (0.5, 4, 3)
    assert found.numbers == pytest.approx(2 / 3)
    assert found.integers == pytest.approx(1 / 3)
    assert found.letters == found.spaces == pytest.approx(1 / 3)
    assert found.highest == 2.5
    assert found.top == ["1", "2.5", "x y"]


def test_a_column_without_values_has_no_role() -> None:
    assert find_contradiction("title", profile(None, "", "nan")) == "it is empty"


@pytest.mark.parametrize(
    "text",
    [
        "2024-03-01", "2024-03-01 10:21:00 +0100", "2024/3/1 8:26", "01.03.2024", "3/1/24 8:26",
        "1 March 2024", "Mar 1, 2024", "Fri Mar 1, 2024", "01-Mar-2024", "20240301",
        "20240301102100",
    ],
)  # fmt: skip
def test_times_are_recognised(text: str) -> None:
    assert profile(text).is_time
    assert find_contradiction("timestamp", profile(text)) is None


@pytest.mark.parametrize("number", ["1709288460", "1709288460000", "1709288460000000", "45352.5"])
def test_numbers_may_be_times(number: str) -> None:
    assert find_contradiction("timestamp", profile(number)) is None


@pytest.mark.parametrize("text", ["10:21", "711", "yesterday", "12.50", "10115"])
def test_other_values_are_no_times(text: str) -> None:
    reason = f"its values, such as {text!r}, are not times"
    assert find_contradiction("timestamp", profile(text)) == reason


@pytest.mark.parametrize("text", ["12.50", "1,234.50", "$12", "12,50 €", "-3", "(4.00)", "1 234,5"])
def test_amounts_may_have_signs_and_currencies(text: str) -> None:
    assert find_contradiction("price", profile(text)) is None


def test_decimal_signs() -> None:
    assert profile("1.234,50", "12,5").decimal_commas == 1
    assert profile("1,234.50", "12.5").decimal_points == 1
    assert profile("1,234").decimal_commas == 0


@pytest.mark.parametrize(
    ("role", "values", "reason"),
    [
        ("user_id", ["2024-01-01", "2024-01-02"], "it contains times"),
        ("user_id", ["EU"] * 30, "all its values are 'EU'"),
        ("item_id", ["1.5", "2.5"], "it contains numbers with decimals"),
        ("item_id", ["a@b.com", "c@d.com"], "it contains e-mail addresses"),
        ("quantity", ["one", "two"], "its values are not numbers"),
        ("quantity", ["4006381333931"], "its values are too large, such as 4006381333931"),
        ("price", ["2024-01-01"], "it contains times"),
        ("currency", ["Berlin", "Bonn"], "its values are not currency codes"),
        ("status", ["1", "2"], "its values are not words"),
        ("title", ["8410", "8411"], "its values are not texts"),
        ("title", ["RCM-200", "RTN-100"], "its values are codes or single words"),
    ],
)
def test_content_can_contradict_a_name(role: Role, values: list[str], reason: str) -> None:
    assert find_contradiction(role, profile(*values)) == reason


@pytest.mark.parametrize(
    ("role", "values"),
    [
        ("user_id", ["17850.0", "13047.0"]),
        ("user_id", ["ana@example.com", "bo@example.com"]),
        ("item_id", ["85123A", "22423"]),
        ("quantity", ["6", "-1", "0.500"]),
        ("currency", ["EUR", "USD"]),
        ("currency", ["€"]),
        ("status", ["wc-completed", "wc-refunded"]),
        ("title", ["White hanging heart", "Lantern"]),
        ("title", ["พวงกุญแจแฮนด์เมด", "ผ้าพันคอไหมไทย"]),
    ],
)
def test_fitting_content(role: Role, values: list[str]) -> None:
    assert find_contradiction(role, profile(*values)) is None


def test_a_single_large_number_is_not_a_column_of_large_numbers() -> None:
    assert find_contradiction("quantity", profile("1", "2", "4006381333931")) is None
    reason = find_contradiction("quantity", profile("1", "4006381333931", "4006381333948"))
    assert reason == "its values are too large, such as 4006381333948"


def test_a_header_within_the_rows_and_few_other_values_do_not_hide_amounts() -> None:
    found = profile(*["1"] * 15, *["2"] * 5, "name", "two")
    assert found.amounts == pytest.approx(20 / 21)
    assert find_contradiction("quantity", found) is None
    assert find_contradiction("quantity", profile("1", "1", "two")) is not None
