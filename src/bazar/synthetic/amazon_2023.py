"""A made-up cosmetics shop of any size, in the file formats of Amazon Reviews 2023.

``python -m bazar.sample_store --output-dir data/01_raw/sample`` writes the store that the project
ships: see :mod:`bazar.shop` for what its customers do. One seed gives the same files, byte for
byte.
"""

import argparse
import itertools
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field, model_validator
from tqdm import tqdm

from bazar.synthetic.simulator import (
    CUSTOMERS_AT_A_TIME,
    TEXT,
    Catalogue,
    add_options,
    buy,
    draw_lengths,
    join_text,
    make_user_ids,
    name_files,
    whole_files,
    write_lines,
)

REVIEWS_FILE = "All_Beauty.jsonl.gz"
PRODUCTS_FILE = "meta_All_Beauty.jsonl.gz"

_RATINGS = [("5.0", "Love it"), ("4.0", "Good"), ("3.0", "It is fine"), ("2.0", "Not for me"),
            ("1.0", "Sent back")]  # fmt: skip
_SENTENCES = 4_096
_WORDS = [
    "a", "after", "all", "and", "another", "apply", "arrived", "as", "at", "bit", "bottle", "box",
    "but", "buy", "clean", "colour", "cream", "day", "dry", "easily", "every", "face", "feels",
    "few", "fine", "for", "from", "gift", "goes", "good", "hair", "has", "how", "i", "in", "is",
    "it", "jar", "just", "keeps", "leaves", "light", "like", "little", "long", "lotion", "made",
    "many", "me", "month", "more", "morning", "much", "my", "nails", "never", "nice", "night",
    "not", "of", "oil", "old", "on", "one", "only", "order", "own", "price", "quickly", "really",
    "rich", "scent", "seller", "sensitive", "shade", "size", "skin", "small", "smell", "smooth",
    "so", "soft", "some", "still", "strong", "than", "that", "the", "then", "they", "thick",
    "thin", "this", "to", "too", "tried", "tube", "twice", "use", "used", "very", "was", "wash",
    "water", "week", "well", "when", "which", "will", "with", "would",
]  # fmt: skip


class StoreOptions(BaseModel):
    """Size of the shop, and how dirty its files are."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    products: int = Field(default=800, ge=60)
    customers: int = Field(default=3_000, ge=1)
    interactions: int = Field(default=25_000, ge=1)
    seed: int = Field(default=7, ge=0)
    dirt_share: float = Field(default=0.005, ge=0, le=0.5)
    """Unusable or doubled lines, as a share of the good ones, in each file."""
    evenness: float = Field(default=1.2, gt=0)
    """The smaller, the more customers buy once, and the more the others buy."""
    text_words: int = Field(default=0, ge=0)
    """Words of a review's text on average; many have fewer and some have far more."""
    files: int = Field(default=1, ge=1)
    """Files that the reviews are spread over, all of a customer in one of them."""

    @model_validator(mode="after")
    def _everybody_buys(self) -> "StoreOptions":
        if self.interactions < self.customers:
            raise ValueError("interactions must be at least customers: everybody buys once")
        return self


class StoreSummary(BaseModel):
    """What was written.

    Attributes:
        reviews: usable lines of the reviews' file, each once.
        products: usable lines of the products' file, each once.
        review_dirt: further lines of the reviews' file, by kind.
        product_dirt: further lines of the products' file, by kind.
        untitled: products whose title is null or blank.
        unsold: ids of products that nobody bought.
    """

    model_config = ConfigDict(frozen=True)

    reviews: int
    products: int
    review_dirt: dict[str, int]
    product_dirt: dict[str, int]
    untitled: int
    unsold: list[str]


def generate(output_dir: Path, options: StoreOptions) -> StoreSummary:
    """Write the shop's files.

    Each is written beside its place and renamed when it is whole. Memory is bounded: customers
    are made a group at a time.

    Args:
        output_dir: folder of the files; made if it is missing.
        options: size and dirt.
    """
    output_dir.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([options.seed, 0])
    catalogue = Catalogue(options.products, rng)
    ids = [f'"asin": "{item}", "parent_asin": "{item}", ' for item in catalogue.item_ids]
    item_columns = pa.array(ids, TEXT)
    sentences = _make_sentences(np.random.default_rng([options.seed, 2]))
    bought = np.zeros(len(catalogue.titles), bool)
    review_dirt = Counter[str]()
    lengths = draw_lengths(options.customers, options.interactions, options.evenness, rng)
    level = 6 if options.interactions <= 100_000 else 1
    parts = [output_dir / name for name in name_files(REVIEWS_FILE, options.files)]
    with (
        whole_files(parts, level) as reviews,
        tqdm(total=options.interactions, unit="row", unit_scale=True, mininterval=1) as progress,
    ):
        for group, first in enumerate(range(0, options.customers, CUSTOMERS_AT_A_TIME)):
            own = np.random.default_rng([options.seed, 1, group])
            customers, items, times = buy(
                catalogue, lengths[first : first + CUSTOMERS_AT_A_TIME], own
            )
            bought[items] = True
            n_customers = int(customers.max()) + 1
            lines = _review_lines(
                item_columns, make_user_ids(n_customers, 28, own), customers, items, times, own,
                sentences, options.text_words,
            )  # fmt: skip
            dirty = _dirty_reviews(lines, options.dirt_share, own, review_dirt)
            # As in the real files: a customer's lines together, in no order of time.
            places = own.permutation(n_customers)[customers]
            anywhere = own.integers(0, n_customers, len(dirty))
            keys = np.concatenate([places, anywhere])
            order = np.lexsort((own.random(len(keys)), keys))
            every = pa.concat_arrays([lines, pa.array(dirty, TEXT)])
            write_lines(reviews, every.take(pa.array(order)), keys[order])
            progress.update(len(lines))
    product_dirt = Counter[str]()
    product_lines, untitled = _product_lines(catalogue, options, rng, product_dirt)
    with whole_files([output_dir / PRODUCTS_FILE], level) as (products,):
        products.write("".join(product_lines).encode())
    return StoreSummary(
        reviews=options.interactions,
        products=len(catalogue.titles),
        review_dirt=dict(review_dirt),
        product_dirt=dict(product_dirt),
        untitled=untitled,
        unsold=[str(catalogue.item_ids[item]) for item in np.flatnonzero(~bought)],
    )


def _review_lines(
    item_columns: pa.Array,
    users: pa.Array,
    customers: np.ndarray,
    items: np.ndarray,
    times: np.ndarray,
    rng: np.random.Generator,
    sentences: pa.Array,
    text_words: int,
) -> pa.Array:
    """A line of JSON per purchase, with its line end."""
    opinion = rng.choice(len(_RATINGS), len(items), p=[0.62, 0.2, 0.08, 0.04, 0.06])
    verified = rng.random(len(items)) < 0.93
    opinions = pa.array(
        [f'{{"rating": {rating}, "title": "{title}", "text": "' for rating, title in _RATINGS], TEXT
    )
    text = _make_texts(sentences, text_words, len(items), rng) if text_words else ""
    return join_text(
        opinions.take(pa.array(opinion)),
        text,
        '", "images": [], ',
        item_columns.take(pa.array(items)),
        '"user_id": "',
        users.take(pa.array(customers)),
        '", "timestamp": ',
        pa.array(times),
        ', "helpful_vote": 0, "verified_purchase": ',
        pa.array(["false}\n", "true}\n"], TEXT).take(pa.array(verified.astype(np.int8))),
    )


def _make_sentences(rng: np.random.Generator) -> pa.Array:
    """Sentences of 4 to 14 words, 9 on average, as they stand within JSON text."""
    sentences = []
    for length in rng.integers(4, 15, _SENTENCES):
        words = [_WORDS[place] for place in rng.integers(0, len(_WORDS), length)]
        if rng.random() < 0.02:
            words[0] = f'"{words[0]}"'
        end = rng.choice([".", "!", ".<br />"], p=[0.8, 0.15, 0.05])
        sentences.append(json.dumps(" ".join(words).capitalize() + end)[1:-1])
    return pa.array(sentences, TEXT)


def _make_texts(sentences: pa.Array, words: int, count: int, rng: np.random.Generator) -> pa.Array:
    """Texts of so many words on average, by far not all of one length."""
    lengths = rng.geometric(min(9 / words, 1), count)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    chosen = sentences.take(pa.array(rng.integers(0, len(sentences), offsets[-1])))
    return pc.binary_join(pa.ListArray.from_arrays(offsets, chosen), pa.scalar(" ", TEXT))


def _dirty_reviews(
    lines: pa.Array, share: float, rng: np.random.Generator, counts: Counter[str]
) -> list[str]:
    """Spoiled copies of good lines, every kind as often as the others."""
    kinds = [
        "broken line", "not JSON", "null user_id", "empty parent_asin", "no parent_asin",
        "timestamp 0", "negative timestamp", "timestamp in 2190", "duplicate",
    ]  # fmt: skip
    chosen = rng.integers(0, len(lines), round(share * len(lines)))
    dirty = []
    for number, line in enumerate(lines.take(pa.array(chosen)).to_pylist()):
        kind = kinds[number % len(kinds)]
        counts[kind] += 1
        if kind == "duplicate":
            dirty.append(line)
        elif kind == "broken line":
            dirty.append(line[: len(line) // 2] + "\n")
        elif kind == "not JSON":
            dirty.append("<html>503 Service Unavailable</html>\n")
        else:
            record = json.loads(line)
            if kind == "no parent_asin":
                del record["parent_asin"]
            else:
                key, value = {
                    "null user_id": ("user_id", None),
                    "empty parent_asin": ("parent_asin", ""),
                    "timestamp 0": ("timestamp", 0),
                    "negative timestamp": ("timestamp", -record["timestamp"]),
                    "timestamp in 2190": ("timestamp", 6_942_672_000_000),
                }[kind]
                record[key] = value
            dirty.append(json.dumps(record) + "\n")
    return dirty


def _product_lines(
    catalogue: Catalogue,
    options: StoreOptions,
    rng: np.random.Generator,
    counts: Counter[str],
) -> tuple[list[str], int]:
    """Lines of the products' file, shuffled, and how many products have no title."""
    n = len(catalogue.titles)
    n_dirty = round(options.dirt_share * n)
    untitled = set(rng.choice(catalogue.n_sold, n_dirty, replace=False).tolist())
    prices = np.round(rng.gamma(4, 5, n) + 2.5, 2)
    lines = []
    for item, title in enumerate(catalogue.titles):
        missing = None if item % 2 else "   "
        record = {
            "main_category": "All Beauty",
            "title": missing if item in untitled else title,
            "average_rating": 4.3,
            "rating_number": 0,
            "features": [],
            "description": [],
            "price": float(prices[item]),
            "images": [],
            "videos": [],
            "store": catalogue.brands[item],
            "categories": [catalogue.categories[item]],
            "details": {"Brand": catalogue.brands[item]},
            "parent_asin": str(catalogue.item_ids[item]),
        }
        lines.append(json.dumps(record) + "\n")
    kinds = itertools.cycle(["broken line", "null parent_asin", "duplicate"])
    for item, kind in zip(rng.integers(0, n, n_dirty).tolist(), kinds, strict=False):
        counts[kind] += 1
        line = lines[item]
        if kind == "broken line":
            line = line[: len(line) // 2] + "\n"
        elif kind == "null parent_asin":
            line = json.dumps(json.loads(line) | {"parent_asin": None}) + "\n"
        lines.append(line)
    order = rng.permutation(len(lines))
    return [lines[place] for place in order], len(untitled)


def main() -> None:
    """Write a shop from the command line."""
    parser = argparse.ArgumentParser(prog="python -m bazar.sample_store", description=__doc__)
    parser.add_argument("--output-dir", type=Path, required=True)
    add_options(parser, StoreOptions())
    arguments = vars(parser.parse_args())
    output_dir = arguments.pop("output_dir")
    summary = generate(output_dir, StoreOptions(**arguments))
    print(summary.model_dump_json(indent=2))  # noqa: T201
    names = ", ".join([*name_files(REVIEWS_FILE, arguments["files"]), PRODUCTS_FILE])
    print(f"written to {output_dir}: {names}")  # noqa: T201


if __name__ == "__main__":
    main()
