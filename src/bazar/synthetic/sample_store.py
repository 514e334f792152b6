"""Write a synthetic cosmetics store of any size in the file formats of Amazon Reviews 2023.

``python -m bazar.synthetic.sample_store --output-dir data/01_raw/sample`` writes the sample store
of the project. See :mod:`bazar.synthetic.simulator` for the behaviour of the customers, and
:mod:`bazar.synthetic.oracle` for the probabilities of their last orders. The same seed gives
identical files.
"""

import argparse
import itertools
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field, model_validator
from tqdm import tqdm

from bazar.synthetic.catalogue import Catalogue
from bazar.synthetic.files import (
    TEXT,
    add_arguments,
    join_text,
    name_parts,
    open_atomically,
    write_lines,
)
from bazar.synthetic.oracle import compute_oracle
from bazar.synthetic.product_names import Language
from bazar.synthetic.simulator import (
    CUSTOMERS_PER_GROUP,
    Purchases,
    draw_lengths,
    make_user_ids,
    simulate_purchases,
)

REVIEWS_FILE = "All_Beauty.jsonl.gz"
PRODUCTS_FILE = "meta_All_Beauty.jsonl.gz"
ORACLE_FILE = "oracle.parquet"

_RATINGS = [("5.0", "Love it"), ("4.0", "Good"), ("3.0", "It is fine"), ("2.0", "Not for me"),
            ("1.0", "Sent back")]  # fmt: skip
_N_SENTENCES = 4_096
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
    """Size and language of the store, and the share of malformed lines in its files."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    products: int = Field(default=800, ge=60)
    """Number of products."""
    customers: int = Field(default=3_000, ge=1)
    """Number of customers."""
    interactions: int = Field(default=25_000, ge=1)
    """Number of purchases, at least ``customers``."""
    seed: int = Field(default=7, ge=0)
    """Seed of all random draws."""
    language: Language = "en"
    """Language of the titles and the categories, ``en`` or ``es``. The purchases are the same."""
    malformed_share: float = Field(default=0.005, ge=0, le=0.5)
    """Number of malformed or duplicate lines in each file, as a share of the valid lines."""
    evenness: float = Field(default=1.2, gt=0)
    """A smaller value makes the numbers of purchases per customer more unequal."""
    text_words: int = Field(default=0, ge=0)
    """Mean number of words of a review. Lengths vary strongly, and most reviews are shorter."""
    files: int = Field(default=1, ge=1)
    """Number of review files. Each customer's reviews are in a single file."""
    oracle: bool = True
    """Write the probabilities of the products in the customers' last orders. This takes about 2
    milliseconds per customer. It does not change the other files."""

    @model_validator(mode="after")
    def _check_interactions(self) -> "StoreOptions":
        if self.interactions < self.customers:
            raise ValueError(
                "interactions must be at least customers, because every customer buys once, got "
                f"{self.interactions} interactions and {self.customers} customers"
            )
        return self


class StoreSummary(BaseModel):
    """Summary of the files that were written.

    Attributes:
        reviews: number of valid review lines, without duplicates.
        products: number of valid product lines, without duplicates.
        malformed_reviews: number of malformed or duplicate review lines, by kind.
        malformed_products: number of malformed or duplicate product lines, by kind.
        untitled: number of products whose title is null or blank.
        unsold: ids of the products that were never bought.
    """

    model_config = ConfigDict(frozen=True)

    reviews: int
    products: int
    malformed_reviews: dict[str, int]
    malformed_products: dict[str, int]
    untitled: int
    unsold: list[str]


def generate_store(output_dir: Path, options: StoreOptions) -> StoreSummary:
    """Write the files of a store, and return a summary.

    Each file is written under a temporary name and renamed when it is complete. Customers are
    simulated in groups, which limits the memory.

    Args:
        output_dir: folder of the files. It is created if it does not exist.
        options: size of the store.
    """
    output_dir.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([options.seed, 0])
    catalogue = Catalogue(options.products, rng, language=options.language)
    lengths = draw_lengths(options.customers, options.interactions, options.evenness, rng)
    level = 6 if options.interactions <= 100_000 else 1
    # An oracle of an earlier store does not match the new files.
    (output_dir / ORACLE_FILE).unlink(missing_ok=True)
    is_sold, malformed_reviews = _write_reviews(output_dir, options, catalogue, lengths, level)
    malformed_products = Counter[str]()
    product_lines, untitled = _make_product_lines(catalogue, options, rng, malformed_products)
    with open_atomically([output_dir / PRODUCTS_FILE], level) as (products,):
        products.write("".join(product_lines).encode())
    return StoreSummary(
        reviews=options.interactions,
        products=len(catalogue.titles),
        malformed_reviews=malformed_reviews,
        malformed_products=dict(malformed_products),
        untitled=untitled,
        unsold=[str(catalogue.item_ids[item]) for item in np.flatnonzero(~is_sold)],
    )


def _write_reviews(
    output_dir: Path,
    options: StoreOptions,
    catalogue: Catalogue,
    lengths: np.ndarray,
    level: int,
) -> tuple[np.ndarray, dict[str, int]]:
    """Simulate the customers, and write their reviews and the oracle.

    Returns:
        Whether each product was bought, bool, shape (products,); and the number of malformed lines
        by kind.
    """
    ids = [f'"asin": "{item}", "parent_asin": "{item}", ' for item in catalogue.item_ids]
    item_columns = pa.array(ids, TEXT)
    sentences = _make_sentences(np.random.default_rng([options.seed, 2]))
    is_sold = np.zeros(len(catalogue.titles), bool)
    malformed = Counter[str]()
    oracles: list[pa.Table] = []
    parts = [output_dir / name for name in name_parts(REVIEWS_FILE, options.files)]
    with (
        open_atomically(parts, level) as files,
        tqdm(
            total=options.interactions, unit="row", unit_scale=True, mininterval=1, disable=None
        ) as progress,
    ):
        for group, first in enumerate(range(0, options.customers, CUSTOMERS_PER_GROUP)):
            rng = np.random.default_rng([options.seed, 1, group])
            purchases = simulate_purchases(
                catalogue, lengths[first : first + CUSTOMERS_PER_GROUP], rng
            )
            is_sold[purchases.items] = True
            n_customers = len(purchases.n_orders)
            users = make_user_ids(n_customers, 28, np.random.default_rng([options.seed, 4, group]))
            if options.oracle:
                oracle_rng = np.random.default_rng([options.seed, 3, group])
                oracles.append(compute_oracle(catalogue, purchases, users, oracle_rng))
            lines = _make_review_lines(
                item_columns, users, purchases, rng, sentences, options.text_words
            )
            added = _make_malformed_reviews(lines, options.malformed_share, rng, malformed)
            # As in the real files, the lines of a customer are adjacent, but not sorted by time.
            positions = rng.permutation(n_customers)[purchases.customers]
            keys = np.concatenate([positions, rng.integers(0, n_customers, len(added))])
            order = np.lexsort((rng.random(len(keys)), keys))
            all_lines = pa.concat_arrays([lines, pa.array(added, TEXT)])
            write_lines(files, all_lines.take(pa.array(order)), keys[order])
            progress.update(len(lines))
    if options.oracle:
        with open_atomically([output_dir / ORACLE_FILE], level) as (oracle,):
            pq.write_table(pa.concat_tables(oracles), oracle, compression="zstd")
    return is_sold, dict(malformed)


def _make_review_lines(
    item_columns: pa.Array,
    users: pa.Array,
    purchases: Purchases,
    rng: np.random.Generator,
    sentences: pa.Array,
    text_words: int,
) -> pa.Array:
    """Return one JSON line per purchase, including the line break."""
    opinion = rng.choice(len(_RATINGS), len(purchases.items), p=[0.62, 0.2, 0.08, 0.04, 0.06])
    verified = rng.random(len(purchases.items)) < 0.93
    opinions = pa.array(
        [f'{{"rating": {rating}, "title": "{title}", "text": "' for rating, title in _RATINGS], TEXT
    )
    text = _make_texts(sentences, text_words, len(purchases.items), rng) if text_words else ""
    return join_text(
        opinions.take(pa.array(opinion)),
        text,
        '", "images": [], ',
        item_columns.take(pa.array(purchases.items)),
        '"user_id": "',
        users.take(pa.array(purchases.customers)),
        '", "timestamp": ',
        pa.array(purchases.times),
        ', "helpful_vote": 0, "verified_purchase": ',
        pa.array(["false}\n", "true}\n"], TEXT).take(pa.array(verified.astype(np.int8))),
    )


def _make_sentences(rng: np.random.Generator) -> pa.Array:
    """Return sentences of 4 to 14 words, 9 on average, escaped for JSON."""
    sentences = []
    for length in rng.integers(4, 15, _N_SENTENCES):
        words = [_WORDS[number] for number in rng.integers(0, len(_WORDS), length)]
        if rng.random() < 0.02:
            words[0] = f'"{words[0]}"'
        end = rng.choice([".", "!", ".<br />"], p=[0.8, 0.15, 0.05])
        sentences.append(json.dumps(" ".join(words).capitalize() + end)[1:-1])
    return pa.array(sentences, TEXT)


def _make_texts(sentences: pa.Array, words: int, count: int, rng: np.random.Generator) -> pa.Array:
    """Return texts with the given mean number of words. Their lengths vary strongly."""
    lengths = rng.geometric(min(9 / words, 1), count)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    chosen = sentences.take(pa.array(rng.integers(0, len(sentences), offsets[-1])))
    return pc.binary_join(pa.ListArray.from_arrays(offsets, chosen), pa.scalar(" ", TEXT))


def _make_malformed_reviews(
    lines: pa.Array, share: float, rng: np.random.Generator, counts: Counter[str]
) -> list[str]:
    """Return malformed copies of valid lines, with equal numbers of all kinds."""
    kinds = [
        "broken line", "not JSON", "null user_id", "empty parent_asin", "no parent_asin",
        "timestamp 0", "negative timestamp", "timestamp in 2190", "duplicate",
    ]  # fmt: skip
    chosen = rng.integers(0, len(lines), round(share * len(lines)))
    malformed = []
    for number, line in enumerate(lines.take(pa.array(chosen)).to_pylist()):
        kind = kinds[number % len(kinds)]
        counts[kind] += 1
        if kind == "duplicate":
            malformed.append(line)
        elif kind == "broken line":
            malformed.append(line[: len(line) // 2] + "\n")
        elif kind == "not JSON":
            malformed.append("<html>503 Service Unavailable</html>\n")
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
            malformed.append(json.dumps(record) + "\n")
    return malformed


def _make_product_lines(
    catalogue: Catalogue,
    options: StoreOptions,
    rng: np.random.Generator,
    counts: Counter[str],
) -> tuple[list[str], int]:
    """Return the shuffled lines of the product file, and the number of products without a title."""
    n = len(catalogue.titles)
    n_malformed = round(options.malformed_share * n)
    untitled = set(rng.choice(catalogue.n_sold, n_malformed, replace=False).tolist())
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
    for item, kind in zip(rng.integers(0, n, n_malformed).tolist(), kinds, strict=False):
        counts[kind] += 1
        line = lines[item]
        if kind == "broken line":
            line = line[: len(line) // 2] + "\n"
        elif kind == "null parent_asin":
            line = json.dumps(json.loads(line) | {"parent_asin": None}) + "\n"
        lines.append(line)
    order = rng.permutation(len(lines))
    return [lines[number] for number in order], len(untitled)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m bazar.synthetic.sample_store", description=__doc__
    )
    parser.add_argument("--output-dir", type=Path, required=True)
    add_arguments(parser, StoreOptions())
    arguments = vars(parser.parse_args())
    output_dir = arguments.pop("output_dir")
    summary = generate_store(output_dir, StoreOptions(**arguments))
    print(summary.model_dump_json(indent=2))  # noqa: T201
    oracle = [ORACLE_FILE] if arguments["oracle"] else []
    names = ", ".join([*name_parts(REVIEWS_FILE, arguments["files"]), PRODUCTS_FILE, *oracle])
    print(f"Written to {output_dir}: {names}")  # noqa: T201


if __name__ == "__main__":
    main()
