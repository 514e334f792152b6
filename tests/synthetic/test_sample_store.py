import gzip
import itertools
import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from bazar.synthetic.sample_store import (
    ORACLE_FILE,
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
    assert pq.read_table(COMMITTED / ORACLE_FILE).equals(pq.read_table(store[0] / ORACLE_FILE))
    names = (REVIEWS_FILE, PRODUCTS_FILE, ORACLE_FILE)
    assert sum((COMMITTED / name).stat().st_size for name in names) < 1e6


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


def orders(folder: Path) -> list[list[tuple[int, list[str]]]]:
    """Return the time and the products of each order of each customer, sorted by time."""
    return [
        [
            (time, [item for _, item in lines])
            for time, lines in itertools.groupby(bought, key=lambda line: line[0])
        ]
        for bought in sequences(folder)[1].values()
    ]


def test_orders_have_several_lines_with_distinct_products(
    store: tuple[Path, StoreSummary],
) -> None:
    lines = [items for customer in orders(store[0]) for _, items in customer]
    sizes = Counter(len(items) for items in lines)
    assert 1.7 < 25_000 / len(lines) < 1.9
    assert sizes[1] + sizes[2] > 0.75 * len(lines)
    assert sizes[1] > sizes[2] > sizes[3] > sizes[6] > 0
    assert all(len(set(items)) == len(items) for items in lines)


def test_a_third_to_a_half_of_the_last_lines_are_repeats(
    store: tuple[Path, StoreSummary],
) -> None:
    repeats = total = 0
    for customer in orders(store[0]):
        *earlier, (_, last) = customer
        bought = {item for _, items in earlier for item in items}
        if bought:
            total += len(last)
            repeats += sum(item in bought for item in last)
    assert 0.3 < repeats / total < 0.45


def test_file_order_does_not_show_an_order_of_the_lines(store: tuple[Path, StoreSummary]) -> None:
    titles, _ = sequences(store[0])
    shampoo: dict[tuple[str, int], int] = {}
    conditioner: dict[tuple[str, int], int] = {}
    for position, record in enumerate(records(store[0] / REVIEWS_FILE)):
        order = record["user_id"], record["timestamp"]
        if "Shampoo" in titles[record["parent_asin"]]:
            shampoo[order] = position
        if "Conditioner" in titles[record["parent_asin"]]:
            conditioner[order] = position
    both = shampoo.keys() & conditioner.keys()
    assert len(both) > 100
    is_before = sum(shampoo[order] < conditioner[order] for order in both)
    # The bound is four standard deviations of a fair coin.
    assert abs(is_before - len(both) / 2) < 4 * (len(both) / 4) ** 0.5


def test_customers_follow_routines_and_stay_with_a_brand(
    store: tuple[Path, StoreSummary],
) -> None:
    titles, _ = sequences(store[0])
    together = Counter[str]()
    same_brand = n_shampoos = total = 0
    for customer in orders(store[0]):
        for (_, first), (_, following) in itertools.pairwise(customer):
            total += 1
            brands = {titles[item].split(" ")[0] for item in following}
            same_brand += any(titles[item].split(" ")[0] in brands for item in first)
            for item in first:
                if "Shampoo" in titles[item]:
                    n_shampoos += 1
                    line = titles[item].split(" Shampoo")[0]
                    together.update(
                        titles[other].removeprefix(line).split(",")[0].strip()
                        for other in first + following
                        if titles[other].startswith(line)
                    )
    assert together["Conditioner"] / n_shampoos > 0.4
    assert together["Conditioner"] > 1.5 * together["Hair Mask"]
    assert together["Hair Mask"] > 1.5 * together["Finishing Oil"]
    assert same_brand / total > 0.6


def test_gift_sets_are_not_refilled(store: tuple[Path, StoreSummary]) -> None:
    titles, _ = sequences(store[0])
    bought, again = Counter[bool](), Counter[bool]()
    for customer in orders(store[0]):
        for number, (_, items) in enumerate(customer[:-1]):
            later = {item for _, items in customer[number + 1 :] for item in items}
            for item in items:
                is_gift = "Gift Set" in titles[item]
                bought[is_gift] += 1
                again[is_gift] += item in later
    assert bought[True] > 150
    assert again[True] / bought[True] < 0.1
    assert again[False] / bought[False] > 0.3


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
    assert gifts[True] / n_december > 8 * gifts[False] / (n - n_december)


def test_large_store_is_simulated_in_groups(tmp_path: Path) -> None:
    options = StoreOptions(
        products=2_500, customers=45_000, interactions=60_000, seed=1, oracle=False
    )
    summary = generate_store(tmp_path, options)
    reviews, products = records(tmp_path / REVIEWS_FILE), records(tmp_path / PRODUCTS_FILE)
    assert len(reviews) == summary.reviews == 60_000
    assert len({record["user_id"] for record in reviews}) == 45_000
    assert len({record["parent_asin"] for record in products}) == 2_500
    titles = [record["title"] for record in products if record["title"] and record["title"].strip()]
    assert len(set(titles)) == len(titles)
    assert sorted(path.name for path in tmp_path.iterdir()) == [REVIEWS_FILE, PRODUCTS_FILE]


def test_other_seed_gives_other_files(tmp_path: Path) -> None:
    for seed in (7, 8):
        small = StoreOptions(products=80, customers=60, interactions=500, seed=seed)
        generate_store(tmp_path / f"{seed}", small)
    for name in (REVIEWS_FILE, PRODUCTS_FILE, ORACLE_FILE):
        first, other = ((tmp_path / f"{seed}" / name).read_bytes() for seed in (7, 8))
        assert first != other


def test_oracle_does_not_change_the_purchases(tmp_path: Path) -> None:
    small = StoreOptions(products=80, customers=60, interactions=500, seed=3, files=2)
    generate_store(tmp_path / "with", small)
    generate_store(tmp_path / "same", small)
    # The oracle of the earlier store is removed.
    generate_store(tmp_path / "without", small.model_copy(update={"seed": 4}))
    generate_store(tmp_path / "without", small.model_copy(update={"oracle": False}))
    files = {
        folder: {path.name: path.read_bytes() for path in (tmp_path / folder).iterdir()}
        for folder in ("with", "same", "without")
    }
    assert files["with"] == files["same"]
    assert files["with"].pop(ORACLE_FILE)
    assert files["with"] == files["without"]


def test_impossible_sizes_are_rejected() -> None:
    with pytest.raises(
        ValidationError, match="every customer buys once, got 9 interactions and 10 customers"
    ):
        StoreOptions(customers=10, interactions=9)
