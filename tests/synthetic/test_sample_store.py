import gzip
import itertools
import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from bazar.synthetic.sample_store import (
    PRODUCTS_FILE,
    REVIEWS_FILE,
    StoreOptions,
    StoreSummary,
    generate_store,
)
from tests.project import ROOT

COMMITTED = ROOT / "data" / "01_raw" / "sample"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, StoreSummary]:
    folder = tmp_path_factory.mktemp("store")
    return folder, generate_store(folder, StoreOptions())


def records(path: Path) -> list[dict[str, Any]]:
    """Return the valid records, without duplicates."""
    lines = dict.fromkeys(gzip.decompress(path.read_bytes()).decode().splitlines())
    found = []
    for line in lines:
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            continue
        usable = record.get("parent_asin") and record.get("user_id", "no key in products")
        if usable and 0 < record.get("timestamp", 1) < 2_000_000_000_000:
            found.append(record)
    return found


def sequences(folder: Path) -> tuple[dict[str, str], dict[str, list[tuple[int, str]]]]:
    titles = {
        record["parent_asin"]: record["title"] or "" for record in records(folder / PRODUCTS_FILE)
    }
    by_user = defaultdict(list)
    for record in records(folder / REVIEWS_FILE):
        by_user[record["user_id"]].append((record["timestamp"], record["parent_asin"]))
    return titles, {user: sorted(bought) for user, bought in by_user.items()}


def test_committed_store_is_the_output_of_the_generator(store: tuple[Path, StoreSummary]) -> None:
    for name in (REVIEWS_FILE, PRODUCTS_FILE):
        assert (COMMITTED / name).read_bytes() == (store[0] / name).read_bytes()
    assert sum((COMMITTED / name).stat().st_size for name in (REVIEWS_FILE, PRODUCTS_FILE)) < 1e6


def test_store_has_the_default_size_and_the_real_format(store: tuple[Path, StoreSummary]) -> None:
    folder, summary = store
    reviews, products = records(folder / REVIEWS_FILE), records(folder / PRODUCTS_FILE)
    assert len(reviews) == summary.reviews == 25_000
    assert len(products) == summary.products == 800
    assert len({record["user_id"] for record in reviews}) == 3_000
    assert set(reviews[0]) == {
        "rating", "title", "text", "images", "asin", "parent_asin", "user_id", "timestamp",
        "helpful_vote", "verified_purchase",
    }  # fmt: skip
    assert set(products[0]) == {
        "main_category", "title", "average_rating", "rating_number", "features", "description",
        "price", "images", "videos", "store", "categories", "details", "parent_asin",
    }  # fmt: skip
    times = [record["timestamp"] for record in reviews]
    assert 1_609_459_200_000 <= min(times) < max(times) < 1_704_067_200_000
    assert times != sorted(times)


def test_titles_and_ids_are_distinct(store: tuple[Path, StoreSummary]) -> None:
    products = records(store[0] / PRODUCTS_FILE)
    titles = [record["title"] for record in products if record["title"] and record["title"].strip()]
    assert len(set(titles)) == len(titles)
    assert store[1].untitled == len(products) - len(titles) == 4
    ids = [record["parent_asin"] for record in products]
    assert len(set(ids)) == 800
    assert all(len(item_id) == 10 for item_id in ids)
    assert any(item_id.isdigit() and item_id[0] == "0" for item_id in ids)


def test_some_products_are_unsold_and_some_are_released_late(
    store: tuple[Path, StoreSummary],
) -> None:
    titles, by_user = sequences(store[0])
    first: dict[str, int] = {}
    for bought in by_user.values():
        for time, item in bought:
            first[item] = min(time, first.get(item, time))
    assert set(store[1].unsold) == set(titles) - set(first)
    assert 5 <= len(store[1].unsold) <= 60
    late = 1_704_067_200_000 - 180 * 86_400_000
    assert sum(time > late for time in first.values()) >= 10


def test_malformed_lines_match_the_summary(store: tuple[Path, StoreSummary]) -> None:
    folder, summary = store
    lines = gzip.decompress((folder / REVIEWS_FILE).read_bytes()).decode().splitlines()
    assert len(lines) == summary.reviews + sum(summary.malformed_reviews.values())
    assert sum(summary.malformed_reviews.values()) == 125
    objects = [line for line in lines if line.startswith("{")]
    assert len(lines) - len(objects) == summary.malformed_reviews["not JSON"]
    assert len(objects) - len(set(objects)) == summary.malformed_reviews["duplicate"]
    assert len(summary.malformed_reviews) == 9
    lines = gzip.decompress((folder / PRODUCTS_FILE).read_bytes()).decode().splitlines()
    assert len(lines) == summary.products + sum(summary.malformed_products.values())


def test_customers_follow_routines_and_buy_again(
    store: tuple[Path, StoreSummary],
) -> None:
    titles, by_user = sequences(store[0])
    after = Counter[str]()
    again = same_brand = total = 0
    for bought in by_user.values():
        for (_, first_item), (_, next_item) in itertools.pairwise(bought):
            total += 1
            same_brand += titles[first_item].split(" ")[0] == titles[next_item].split(" ")[0]
            if "Shampoo" in titles[first_item]:
                line = titles[first_item].split(" Shampoo")[0]
                after[titles[next_item].removeprefix(line).split(",")[0].strip()] += 1
        items = [item for _, item in bought]
        again += len(items) - len(set(items))
    assert after["Conditioner"] / after.total() > 0.4
    assert after["Conditioner"] > 5 * after["Finishing Oil"]
    assert same_brand / total > 0.6
    assert 0.05 < again / total < 0.30


def test_sunscreen_is_bought_in_summer_and_gifts_in_december(
    store: tuple[Path, StoreSummary],
) -> None:
    titles, by_user = sequences(store[0])
    sunscreen, gifts = Counter[bool](), Counter[bool]()
    n_summer = n_december = n = 0
    for bought in by_user.values():
        for time, item in bought:
            month = int(((time - 1_609_459_200_000) / 86_400_000 % 365) // 30.5) + 1
            n += 1
            n_summer += month in (6, 7, 8)
            n_december += month == 12
            sunscreen[month in (6, 7, 8)] += "Sunscreen" in titles[item]
            gifts[month == 12] += "Gift Set" in titles[item]
    assert sunscreen[True] / n_summer > 1.8 * sunscreen[False] / (n - n_summer)
    assert gifts[True] / n_december > 3 * gifts[False] / (n - n_december)


def test_large_store_is_simulated_in_groups(tmp_path: Path) -> None:
    options = StoreOptions(products=2_500, customers=45_000, interactions=60_000, seed=1)
    summary = generate_store(tmp_path, options)
    reviews, products = records(tmp_path / REVIEWS_FILE), records(tmp_path / PRODUCTS_FILE)
    assert len(reviews) == summary.reviews == 60_000
    assert len({record["user_id"] for record in reviews}) == 45_000
    assert len({record["parent_asin"] for record in products}) == 2_500
    titles = [record["title"] for record in products if record["title"] and record["title"].strip()]
    assert len(set(titles)) == len(titles)
    assert sorted(path.name for path in tmp_path.iterdir()) == [REVIEWS_FILE, PRODUCTS_FILE]


def test_other_seed_gives_other_files(tmp_path: Path, store: tuple[Path, StoreSummary]) -> None:
    generate_store(tmp_path, StoreOptions(seed=8))
    for name in (REVIEWS_FILE, PRODUCTS_FILE):
        assert (tmp_path / name).read_bytes() != (store[0] / name).read_bytes()


def test_impossible_sizes_are_rejected() -> None:
    with pytest.raises(
        ValidationError, match="every customer buys once, got 9 interactions and 10 customers"
    ):
        StoreOptions(customers=10, interactions=9)
