import ast
import csv
import gzip
import html
import json
import re
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from pydantic import ValidationError

from bazar.synthetic.benchmark_sets import SET_A
from bazar.synthetic.product_lines import PRODUCT_FILES
from bazar.synthetic.sample_store import REVIEWS_FILE, generate_store
from bazar.synthetic.set_b import (
    MISSING,
    PURCHASES_FILE,
    URL,
    Coverage,
    SetBOptions,
    SetBSummary,
    generate_set_b,
)

SMALL = SetBOptions(interactions=30_000, customers=21_000, products=900, listed=2_000)
FILE_2014 = "meta_Beauty.json.gz"
FILES_2018 = ["meta_All_Beauty.json.gz", "meta_Appliances.json.gz"]
FILES_2023 = [file.file for file in PRODUCT_FILES if file.file.endswith(".jsonl.gz")]
SITE = "https://www.amazon.in"


@pytest.fixture(scope="module")
def set_b(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SetBSummary]:
    folder = tmp_path_factory.mktemp("set_b")
    return folder, generate_set_b(folder, SMALL)


def purchases(*paths: Path) -> list[dict[str, str]]:
    rows = []
    for path in paths:
        with path.open(encoding="utf-8", newline="") as file:
            rows += list(csv.DictReader(file))
    return rows


def lines(path: Path) -> list[str]:
    return gzip.decompress(path.read_bytes()).decode().splitlines()


def clean(title: str | None) -> str | None:
    return html.unescape(re.sub(r"<[^>]*>", "", title or "")).strip() or None


def titles(folder: Path) -> dict[str, dict[str, str | None]]:
    """Return the title of each item of each file, None if it is listed without a title."""
    found: dict[str, dict[str, str | None]] = {}
    for file in [*FILES_2023, *FILES_2018, FILE_2014]:
        read = ast.literal_eval if file == FILE_2014 else json.loads
        records = [read(line) for line in lines(folder / file)]
        key = "parent_asin" if file in FILES_2023 else "asin"
        found[file] = {record[key]: clean(record.get("title")) for record in records}
    return found


def url_name(row: dict[str, str]) -> str:
    """Return the name in a URL, or an empty text."""
    assert row["URL"].startswith(f"{SITE}/")
    name, _, rest = row["URL"].removeprefix(SITE).partition("/dp/")
    assert rest.partition("/")[0] == row["ProductId"]
    return name.removeprefix("/")


def test_purchases_match_the_summary(set_b: tuple[Path, SetBSummary]) -> None:
    folder, summary = set_b
    rows = purchases(folder / PURCHASES_FILE)
    keys = [(row["UserId"], row["ProductId"], row["Timestamp"]) for row in rows]
    assert len(rows) == summary.interactions == 30_000
    assert len({user for user, _, _ in keys}) == summary.users == 21_000
    assert len({item for _, item, _ in keys}) == summary.products == 900
    assert len(keys) - len(set(keys)) == summary.duplicates > 0
    assert sum(not url_name(row) for row in rows) == summary.nameless_rows
    per_user = Counter(user for user, _, _ in keys)
    assert sum(count == 1 for count in per_user.values()) > 0.6 * 21_000
    assert max(per_user.values()) > 8


def test_purchases_have_the_format_of_the_real_file(set_b: tuple[Path, SetBSummary]) -> None:
    path = set_b[0] / PURCHASES_FILE
    header, first = path.read_text(encoding="utf-8").splitlines()[:2]
    assert header == "UserId,ProductId,ProductType,Rating,Timestamp,URL"
    assert len(first.split(",")) == 6
    rows = purchases(path)
    assert {row["Rating"] for row in rows} == {"1", "2", "3", "4", "5"}
    assert all(row["ProductType"] for row in rows)
    times = [int(row["Timestamp"]) for row in rows]
    assert 1_609_459_200 <= min(times) < max(times) < 1_704_067_200
    assert any(row["ProductId"].isdigit() and row["ProductId"][0] == "0" for row in rows)
    urls = "".join(row["URL"] for row in rows)
    assert urls.isascii()
    assert not set(urls) & set("\"' &,")
    names = {unquote(url_name(row)) for row in rows}
    for special in ("Crème-Edition", "Women's", "100%-Vegan", "Wash-&-Care", '5"-Tube'):
        assert any(special in name for name in names), special


def test_named_product_has_urls_without_its_name(set_b: tuple[Path, SetBSummary]) -> None:
    folder, summary = set_b
    names = defaultdict(set)
    for row in purchases(folder / PURCHASES_FILE):
        names[row["ProductId"]].add(url_name(row))
    assert sum(found != {""} for found in names.values()) == summary.named
    assert sum(len(found) == 2 for found in names.values()) > 50
    assert all(len(found - {""}) <= 1 for found in names.values())


def test_product_files_have_the_formats_of_three_generations(
    set_b: tuple[Path, SetBSummary],
) -> None:
    folder, summary = set_b
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        [PURCHASES_FILE, *summary.lines]
    )
    assert list(summary.lines) == [*FILES_2023, *FILES_2018, FILE_2014]
    assert {file: len(lines(folder / file)) for file in summary.lines} == summary.lines
    assert all("parent_asin" in json.loads(line) for line in lines(folder / FILES_2023[0]))
    records_2018 = [json.loads(line) for line in lines(folder / FILES_2018[0])]
    assert all("asin" in record and "parent_asin" not in record for record in records_2018)
    assert any(
        re.fullmatch(r'<span class="a-size-medium[^>]*>', row["title"]) for row in records_2018
    )
    assert any(re.fullmatch(r"<span [^>]*>[^<]+</span>", row["title"]) for row in records_2018)
    assert any(re.fullmatch(r"<span [^>]*>[^<]+", row["title"]) for row in records_2018)
    for entity in ("&amp;", "&quot;", "&#39;"):
        assert any(entity in row["title"] for row in records_2018), entity
    repeated = Counter(record["asin"] for record in records_2018)
    assert 0 < sum(count > 1 for count in repeated.values()) < 0.05 * len(repeated)


def test_lines_of_2014_are_python_literals(set_b: tuple[Path, SetBSummary]) -> None:
    every = lines(set_b[0] / FILE_2014)
    records: list[dict[str, Any]] = [ast.literal_eval(line) for line in every]
    for line, record in zip(every, records, strict=True):
        assert isinstance(record["asin"], str)
        assert isinstance(record["categories"][0], list)
        assert line.isascii()
        with pytest.raises(json.JSONDecodeError):
            json.loads(line)
    assert any("title" not in record for record in records)
    assert any("price" not in record for record in records)
    assert {record.get("brand") for record in records} > {None, "Unknown"}
    # Both kinds of quotes, an escaped quote, and an escaped letter.
    for quoted in ("'title': \"", "'title': '", "\\'s 5\" Tube", r"Cr\xe8me"):
        assert any(quoted in line for line in every), quoted


def test_title_coverage_matches_the_summary(set_b: tuple[Path, SetBSummary]) -> None:
    folder, summary = set_b
    rows = purchases(folder / PURCHASES_FILE)
    bought = Counter(row["ProductId"] for row in rows)
    found = titles(folder)
    named = {row["ProductId"] for row in rows if url_name(row)}
    known = {file: {item for item in bought if found[file].get(item)} for file in found}
    assert {file: len(items) for file, items in known.items()} == summary.known
    to_any = set[str]().union(*known.values())
    assert len(to_any) == summary.known_to_any == round(900 * 11_875 / 23_838)
    assert len(bought.keys() - to_any - named) == summary.untitled == round(900 * 0.0935)

    left = set(bought)
    for source, has_title in [*known.items(), (URL, named), (MISSING, left.copy())]:
        first = left & has_title
        left -= has_title
        expected = Coverage(products=len(first), interactions=sum(bought[item] for item in first))
        assert summary.title_source[source] == expected, source

    by_user = defaultdict(set)
    for row in rows:
        by_user[row["UserId"]].add(row["ProductId"])
    assert sum(items <= to_any for items in by_user.values()) == summary.users_known
    assert sum(items <= to_any | named for items in by_user.values()) == summary.users_titled
    assert 0 < summary.users_known < summary.users_titled < summary.users


def test_product_files_overlap_and_list_further_products(set_b: tuple[Path, SetBSummary]) -> None:
    folder, _ = set_b
    found = titles(folder)
    bought = {row["ProductId"] for row in purchases(folder / PURCHASES_FILE)}
    listed = set[str]().union(*found.values())
    assert len(listed - bought) == SMALL.listed
    for file in (FILES_2023[1], FILES_2018[0], FILE_2014):
        assert any(title is None for title in found[file].values()), file
    # Generations overlap, and write the same titles differently.
    for one, other in (
        (FILES_2023[1], FILES_2018[0]),
        (FILES_2023[1], FILE_2014),
        (FILES_2018[0], FILE_2014),
    ):
        both = {item for item in found[one] if found[one][item] and found[other].get(item)}
        assert len(both) > 50
        words = [
            re.findall(r"\w+", found[file][item] or "") for file in (one, other) for item in both
        ]
        assert words[: len(both)] == words[len(both) :]
        assert sum(found[one][item] != found[other][item] for item in both) > 40


def test_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    options = SetBOptions(interactions=3_000, customers=1_500, products=200, listed=200)
    for folder, seed in (("one", 7), ("same", 7), ("other", 8)):
        generate_set_b(tmp_path / folder, options.model_copy(update={"seed": seed}))
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "same" / path.name).read_bytes()
        assert path.read_bytes() != (tmp_path / "other" / path.name).read_bytes()


def test_purchases_are_split_into_files_by_customer(
    tmp_path: Path, set_b: tuple[Path, SetBSummary]
) -> None:
    summary = generate_set_b(tmp_path, SMALL.model_copy(update={"files": 3}))
    assert summary == set_b[1]
    parts = sorted(tmp_path.glob("Amazon_Beauty_Recommendation*"))
    assert [path.name for path in parts] == [
        f"Amazon_Beauty_Recommendation-{part}.csv" for part in (1, 2, 3)
    ]
    users = [{row["UserId"] for row in purchases(path)} for path in parts]
    assert sum(len(found) for found in users) == len(set[str]().union(*users)) == 21_000
    assert min(len(found) for found in users) > 6_000
    single = (set_b[0] / PURCHASES_FILE).read_text(encoding="utf-8").splitlines()
    split = [path.read_text(encoding="utf-8").splitlines() for path in parts]
    assert sorted(single[1:]) == sorted(line for part in split for line in part[1:])


def test_failed_set_leaves_no_temporary_file(tmp_path: Path) -> None:
    # A folder has the name of the second file.
    (tmp_path / "Amazon_Beauty_Recommendation-2.csv").mkdir()
    with pytest.raises(IsADirectoryError):
        generate_set_b(tmp_path, SMALL.model_copy(update={"files": 2}))
    assert not list(tmp_path.glob(".*"))


def test_impossible_sizes_are_rejected() -> None:
    with pytest.raises(ValidationError, match="each of them occurs in a purchase"):
        SetBOptions(interactions=500, customers=100, products=600)
    with pytest.raises(ValidationError, match="untitled_share must be at most 1"):
        SetBOptions(known_share=0.95)


def test_small_set_a_has_reviews_with_texts(tmp_path: Path) -> None:
    small = {"products": 1_126, "customers": 6_320, "interactions": 7_015, "files": 2}
    summary = generate_store(tmp_path, SET_A.model_copy(update=small))
    assert not summary.malformed_reviews
    parts = [tmp_path / f"{REVIEWS_FILE.split('.')[0]}-{part}.jsonl.gz" for part in (1, 2)]
    per_part = [[json.loads(line) for line in lines(path)] for path in parts]
    users = [{record["user_id"] for record in part} for part in per_part]
    assert not users[0] & users[1]
    assert len(users[0] | users[1]) == 6_320
    records = per_part[0] + per_part[1]
    assert len(records) == 7_015
    lengths = Counter(Counter(record["user_id"] for record in records).values())
    assert lengths[1] > 0.92 * 6_320
    assert max(lengths) > 8
    n_words = [len(record["text"].split()) for record in records]
    assert 40 < sum(n_words) / len(n_words) < 50
    assert min(n_words) < 10
    assert max(n_words) > 150
    assert any('"' in record["text"] for record in records)
