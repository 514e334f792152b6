"""Write synthetic files with the size and format of Set B.

The purchases have no titles, except for names in their URLs. Product files in three formats have
the titles of about half of the purchased products.
"""

from collections import Counter
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field, model_validator
from tqdm import tqdm

from bazar.synthetic.catalogue import Catalogue, make_item_ids
from bazar.synthetic.files import TEXT, join_text, name_parts, open_atomically, write_lines
from bazar.synthetic.product_lines import PRODUCT_FILES, Listing, ProductFile
from bazar.synthetic.simulator import (
    CUSTOMERS_PER_GROUP,
    DAY_MS,
    draw_lengths,
    make_user_ids,
    simulate_purchases,
)

PURCHASES_FILE = "Amazon_Beauty_Recommendation.csv"
URL = "URL"
"""Title source of the products whose only title is a name in a URL."""
MISSING = "missing"
"""Title source of the products without a title."""

_LINES_PER_BATCH = 20_000
_SPECIAL = ["Crème Edition", "Women's Choice", "100% Vegan", "Wash & Care", "Women's 5\" Tube"]
_SPECIAL_SHARE = 0.12
"""Share of the titles with one of these suffixes."""
_SECOND_PIECE_SHARE = 0.05
"""Share of the further lines of an order that repeat the product of the line before."""
_NAMELESS_SHARE = 0.02
"""Share of the purchases without a name in the URL, among products with a name."""


class SetBOptions(BaseModel):
    """Size of Set B, and the share of its products that have a title."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    interactions: int = Field(default=2_000_000, ge=1)
    """Number of purchases, at least ``customers`` and ``products``."""
    customers: int = Field(default=1_210_000, ge=1)
    """Number of customers."""
    products: int = Field(default=23_838, ge=60)
    """Number of products that are bought."""
    listed: int = Field(default=150_000, ge=60)
    """Number of additional products that occur only in the product files."""
    known_share: float = Field(default=11_875 / 23_838, ge=0, le=1)
    """Share of the bought products that have a title in a product file."""
    untitled_share: float = Field(default=0.0935, ge=0, le=1)
    """Share of the bought products that have a title neither in a product file nor in a URL."""
    evenness: float = Field(default=0.3, gt=0)
    """A smaller value makes the numbers of purchases per customer more unequal."""
    files: int = Field(default=1, ge=1)
    """Number of purchase files. Each customer's purchases are in a single file."""
    seed: int = Field(default=7, ge=0)
    """Seed of all random draws."""

    @model_validator(mode="after")
    def _check_sizes(self) -> "SetBOptions":
        if self.interactions < max(self.customers, self.products):
            raise ValueError(
                "interactions must be at least customers and products, because each of them occurs "
                f"in a purchase, got {self.interactions} interactions, {self.customers} customers "
                f"and {self.products} products"
            )
        if self.known_share + self.untitled_share > 1:
            raise ValueError(
                "The sum of known_share and untitled_share must be at most 1, got "
                f"{self.known_share} and {self.untitled_share}"
            )
        return self


class Coverage(BaseModel):
    """Numbers of products and purchases whose title comes from one source.

    Attributes:
        products: number of distinct products.
        interactions: number of their purchases.
    """

    model_config = ConfigDict(frozen=True)

    products: int
    interactions: int


class SetBSummary(BaseModel):
    """Summary of the files that were written.

    Attributes:
        interactions: lines of the purchase files, without headers.
        users: distinct customers.
        products: distinct purchased products.
        duplicates: purchases with the customer, product and time of an earlier purchase.
        nameless_rows: purchases whose URL has no name.
        lines: lines of each product file.
        known: bought products with a title, by product file. Titles inside HTML tags count.
        known_to_any: bought products that have a title in any product file.
        named: bought products with a name in the URL of one of their purchases.
        untitled: bought products without a title in any source.
        title_source: coverage by the first source with a title, in the order of ``lines``, then
            ``URL``. Products without a title are ``missing``.
        users_known: customers with a title in a product file for all their products.
        users_titled: customers with a title in any source for all their products.
    """

    model_config = ConfigDict(frozen=True)

    interactions: int
    users: int
    products: int
    duplicates: int
    nameless_rows: int
    lines: dict[str, int]
    known: dict[str, int]
    known_to_any: int
    named: int
    untitled: int
    title_source: dict[str, Coverage]
    users_known: int
    users_titled: int


def generate_set_b(output_dir: Path, options: SetBOptions) -> SetBSummary:
    """Write the purchase files and the product files, and return a summary.

    No line is malformed. Each file is written under a temporary name and renamed when it is
    complete. Customers are simulated in groups, and product lines are written in batches. This
    limits the memory.

    Args:
        output_dir: folder of the files. It is created if it does not exist.
        options: sizes, and the shares of products with a title.
    """
    output_dir.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([options.seed, 0])
    bought = Catalogue(options.products, rng)
    listed = Catalogue(options.listed, rng, first_brand=len(set(bought.brands)))
    titles = _add_special_text(bought.titles + listed.titles, rng)
    brands = bought.brands + listed.brands
    categories = bought.categories + listed.categories
    item_ids = make_item_ids(len(titles), rng)

    known, named = _draw_titled(options, rng)
    in_file = _draw_files(np.concatenate([known, np.ones(options.listed, bool)]), rng)
    lines = {}
    for number, product_file in enumerate(PRODUCT_FILES):
        lines[product_file.file] = _write_product_file(
            output_dir / product_file.file,
            product_file,
            np.flatnonzero(in_file[number]),
            np.flatnonzero(~known),
            (item_ids, titles, brands, categories),
            np.random.default_rng([options.seed, 2, number]),
        )
    in_file = in_file[:, : options.products]
    counter = _PurchaseCounter(named, in_file)
    formatter = _PurchaseFormatter(bought, item_ids, titles, named)
    _write_purchases(output_dir, options, bought, formatter, counter)
    return _summarise(options, counter, lines)


def _add_special_text(titles: list[str], rng: np.random.Generator) -> list[str]:
    """Return titles. Some contain text that must be escaped in HTML, URLs or Python literals."""
    draws = rng.random(len(titles)) / _SPECIAL_SHARE
    return [
        f"{title}, {_SPECIAL[int(draw * len(_SPECIAL))]}" if draw < 1 else title
        for title, draw in zip(titles, draws.tolist(), strict=True)
    ]


def _draw_titled(options: SetBOptions, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return random masks of products with a title in files, and in URLs; shape (products,)."""
    order = rng.permutation(options.products)
    n_known = round(options.known_share * options.products)
    n_untitled = round(options.untitled_share * options.products)
    known = np.zeros(options.products, bool)
    known[order[:n_known]] = True
    named = np.ones(options.products, bool)
    named[order[len(order) - n_untitled :]] = False
    # Some products have a title in a file, but not in a URL.
    named[order[: n_known // 20]] = False
    return known, named


def _draw_files(known: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a random mask of the products with a title in each file; shape (files, products)."""
    shares = np.array([product_file.share for product_file in PRODUCT_FILES])
    in_file = (rng.random((len(PRODUCT_FILES), len(known))) < shares[:, None]) & known
    # The largest file gets the known products that were drawn for no file.
    in_file[int(shares.argmax())] |= known & ~in_file.any(axis=0)
    return in_file


def _write_product_file(
    path: Path,
    product_file: ProductFile,
    items: np.ndarray,
    unknown: np.ndarray,
    properties: tuple[np.ndarray, list[str], list[str], list[str]],
    rng: np.random.Generator,
) -> int:
    """Write a product file and return its number of lines.

    Args:
        path: the file.
        product_file: format and category of the file.
        items: products with a title in this file.
        unknown: products without a title in any file. Some of them are listed without a title.
        properties: ids, titles, brands and categories of all products.
        rng: the random generator of the file.
    """
    item_ids, titles, brands, categories = properties
    untitled = rng.choice(unknown, len(unknown) // 50, replace=False)
    repeated = rng.choice(items, len(items) // 100, replace=False)
    listed = np.concatenate([items, repeated, untitled])
    has_title = np.arange(len(listed)) < len(items) + len(repeated)
    order = rng.permutation(len(listed))
    # There is one value per product, so that repeated lines are equal.
    prices = np.round(rng.gamma(4, 5, len(titles)) + 2.5, 2)
    draws = rng.random(len(titles))
    with open_atomically([path], 1) as (file,):
        for first in range(0, len(order), _LINES_PER_BATCH):
            lines = []
            for number in order[first : first + _LINES_PER_BATCH].tolist():
                item = int(listed[number])
                listing = Listing(
                    item_id=str(item_ids[item]),
                    title=titles[item] if has_title[number] else None,
                    brand=brands[item],
                    category=categories[item],
                    price=float(prices[item]),
                    draw=float(draws[item]),
                )
                lines.append(product_file.make_line(listing, product_file.category) + "\n")
            file.write("".join(lines).encode())
    return len(order)


def _write_purchases(
    output_dir: Path,
    options: SetBOptions,
    catalogue: Catalogue,
    formatter: "_PurchaseFormatter",
    counter: "_PurchaseCounter",
) -> None:
    """Simulate the customers, write their purchases, and count them."""
    n_items = options.products
    rng = np.random.default_rng([options.seed, 3])
    lengths = draw_lengths(options.customers, options.interactions, options.evenness, rng)
    # Force one purchase of each product. The forced purchases have equal distances.
    distance = options.interactions // n_items
    forced_items = rng.permutation(n_items)
    row = 0
    parts = [output_dir / name for name in name_parts(PURCHASES_FILE, options.files)]
    with (
        open_atomically(parts, 1) as files,
        tqdm(
            total=options.interactions, unit="row", unit_scale=True, mininterval=1, disable=None
        ) as progress,
    ):
        for file in files:
            file.write(b"UserId,ProductId,ProductType,Rating,Timestamp,URL\n")
        for group, first in enumerate(range(0, options.customers, CUSTOMERS_PER_GROUP)):
            group_rng = np.random.default_rng([options.seed, 1, group])
            purchases = simulate_purchases(
                catalogue, lengths[first : first + CUSTOMERS_PER_GROUP], group_rng
            )
            customers, items, times = purchases.customers, purchases.items, purchases.times
            # Some customers buy two pieces of a product, which are two lines of the order.
            is_second = group_rng.random(len(items)) < _SECOND_PIECE_SHARE
            is_second[1:] &= (customers[1:] == customers[:-1]) & (times[1:] == times[:-1])
            second = np.flatnonzero(is_second[1:]) + 1
            items[second] = items[second - 1]
            rows = np.arange(row, row + len(items))
            row += len(items)
            is_forced = (rows % distance == 0) & (rows // distance < n_items)
            items[is_forced] = forced_items[rows[is_forced] // distance]
            # As in the real file, timestamps are days.
            days = times // DAY_MS
            # The URL of a forced purchase has the name of a named product.
            is_drawn = group_rng.random(len(items)) >= _NAMELESS_SHARE
            has_name = counter.named[items] & (is_forced | is_drawn)
            counter.add(customers, items, days, has_name)
            order = group_rng.permutation(len(items))
            lines = formatter.make_lines(
                customers, items, days * (DAY_MS // 1000), has_name, group_rng
            )
            write_lines(files, lines.take(pa.array(order)), customers[order])
            progress.update(len(items))


class _PurchaseFormatter:
    """Formats purchases as lines. It stores the parts that depend only on the product.

    Args:
        catalogue: the products.
        item_ids: ids of the products.
        titles: titles of the products.
        named: whether each product has a name in URLs; bool, shape (products,).
    """

    def __init__(
        self, catalogue: Catalogue, item_ids: np.ndarray, titles: list[str], named: np.ndarray
    ) -> None:
        host = "https://www.amazon.in"
        ids = item_ids[: len(named)].tolist()
        names = [_make_url_name(title) for title in titles[: len(named)]]
        self._heads = pa.array(
            [f",{item},{kind}," for item, kind in zip(ids, catalogue.categories, strict=True)], TEXT
        )
        self._urls_with_name = pa.array(
            [f"{host}/{name}/dp/{item}" for item, name in zip(ids, names, strict=True)], TEXT
        )
        self._urls_without_name = pa.array([f"{host}/dp/{item}" for item in ids], TEXT)
        self._ends = pa.array(["\n", *(f"/ref=sr_1_{rank}\n" for rank in range(1, 49))], TEXT)
        self._ratings = pa.array(["5,", "4,", "3,", "2,", "1,"], TEXT)

    def make_lines(
        self,
        customers: np.ndarray,
        items: np.ndarray,
        seconds: np.ndarray,
        has_name: np.ndarray,
        rng: np.random.Generator,
    ) -> pa.Array:
        """Return one line per purchase, including the line break."""
        users = make_user_ids(int(customers.max()) + 1, 14, rng)
        ratings = rng.choice(5, len(items), p=[0.62, 0.2, 0.08, 0.04, 0.06])
        ranks = np.where(has_name, rng.integers(1, 49, len(items)), 0)
        product = pa.array(items)
        return join_text(
            users.take(pa.array(customers)),
            self._heads.take(product),
            self._ratings.take(pa.array(ratings)),
            pa.array(seconds),
            ",",
            pc.if_else(
                pa.array(has_name),
                self._urls_with_name.take(product),
                self._urls_without_name.take(product),
            ),
            self._ends.take(pa.array(ranks)),
        )


def _make_url_name(title: str) -> str:
    return quote("-".join(title.replace(",", "").split()))


class _PurchaseCounter:
    """Counts the purchases that are written.

    Args:
        named: whether each product has a name in URLs; bool, shape (products,).
        in_file: whether each file has a title of each product; bool, shape (files, products).
    """

    def __init__(self, named: np.ndarray, in_file: np.ndarray) -> None:
        self.named = named
        self.in_file = in_file
        self.known = np.logical_or.reduce(in_file)
        self.per_product = np.zeros(len(named), np.int64)
        self.counts = Counter[str]()

    def add(
        self, customers: np.ndarray, items: np.ndarray, days: np.ndarray, has_name: np.ndarray
    ) -> None:
        """Count the purchases of a group of customers."""
        n_items = len(self.named)
        self.per_product += np.bincount(items, minlength=n_items)
        self.counts["nameless_rows"] += int((~has_name).sum())
        n_customers = int(customers.max()) + 1
        key = (customers * n_items + items) * (1 << 16) + days
        self.counts["duplicates"] += len(key) - len(np.unique(key))
        titled = self.known | self.named
        for name, is_titled in (("users_known", self.known), ("users_titled", titled)):
            n_untitled = np.bincount(customers[~is_titled[items]], minlength=n_customers)
            self.counts[name] += int((n_untitled == 0).sum())


def _summarise(
    options: SetBOptions, counter: _PurchaseCounter, lines: dict[str, int]
) -> SetBSummary:
    remaining = np.ones(options.products, bool)
    sources = [
        *zip(lines, counter.in_file, strict=True),
        (URL, counter.named),
        (MISSING, remaining),
    ]
    title_source = {}
    for name, has_title in sources:
        is_first = remaining & has_title
        remaining = remaining & ~has_title
        title_source[name] = Coverage(
            products=int(is_first.sum()), interactions=int(counter.per_product[is_first].sum())
        )
    return SetBSummary(
        interactions=options.interactions,
        users=options.customers,
        products=options.products,
        duplicates=counter.counts["duplicates"],
        nameless_rows=counter.counts["nameless_rows"],
        lines=lines,
        known={name: int(row.sum()) for name, row in zip(lines, counter.in_file, strict=True)},
        known_to_any=int(counter.known.sum()),
        named=int(counter.named.sum()),
        untitled=int((~counter.known & ~counter.named).sum()),
        title_source=title_source,
        users_known=counter.counts["users_known"],
        users_titled=counter.counts["users_titled"],
    )
