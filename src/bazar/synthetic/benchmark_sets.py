"""Made-up files of the size and format of real data sets, to measure and to test with.

``python -m bazar.sample_sets set_a --output-dir DIR`` writes what Amazon Reviews 2023 gives for
All_Beauty: a review's text and time, most customers with one review.
``python -m bazar.sample_sets set_b --output-dir DIR`` writes purchases that know no titles, but
for the names in their URLs, and product files of three generations that know about half of what
was bought. Both are shops of :mod:`bazar.shop`. One seed gives the same files, byte for byte.
"""

import argparse
import html
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field, model_validator
from tqdm import tqdm

from bazar.synthetic import amazon_2023 as sample_store
from bazar.synthetic.simulator import (
    CUSTOMERS_AT_A_TIME,
    DAY_MS,
    TEXT,
    Catalogue,
    add_options,
    buy,
    draw_lengths,
    join_text,
    make_item_ids,
    make_user_ids,
    name_files,
    whole_files,
    write_lines,
)

SET_A = sample_store.StoreOptions(
    products=112_600,
    customers=632_000,
    interactions=701_500,
    dirt_share=0,
    evenness=0.05,
    text_words=45,
)

PURCHASES_FILE = "Amazon_Beauty_Recommendation.csv"
URL = "URL"
MISSING = "missing"

_LINES_AT_A_TIME = 20_000
_COMMON = ["Crème Edition", "Women's Choice", "100% Vegan", "Wash & Care", "Women's 5\" Tube"]
_COMMON_SHARE = 0.12
_NAMELESS_SHARE = 0.02
"""Share of a named product's purchases whose URL leaves the name out."""


class _Listing(NamedTuple):
    """What a product file says of a product. Without a title it is listed all the same."""

    item_id: str
    title: str | None
    brand: str
    category: str
    price: float
    draw: float
    """Uniform from 0 to 1: what differs from line to line."""


class _Source(NamedTuple):
    """A product file: how many of the products that any file knows stand in it, and how."""

    file: str
    share: float
    category: str
    line: Callable[[_Listing, str], str]


class SetBOptions(BaseModel):
    """Size of Set B, and how many of its products have a title."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    interactions: int = Field(default=2_000_000, ge=1)
    customers: int = Field(default=1_210_000, ge=1)
    products: int = Field(default=23_838, ge=60)
    """All of them are bought."""
    listed: int = Field(default=150_000, ge=60)
    """Further products, that the product files know and nobody bought."""
    known_share: float = Field(default=11_875 / 23_838, ge=0, le=1)
    """Products that a product file gives a title, as a share of those bought."""
    untitled_share: float = Field(default=0.0935, ge=0, le=1)
    """Products that neither a product file nor a URL names, as a share of those bought."""
    evenness: float = Field(default=0.3, gt=0)
    """The smaller, the more customers buy once, and the more the others buy."""
    files: int = Field(default=1, ge=1)
    """Files that the purchases are spread over, all of a customer in one of them."""
    seed: int = Field(default=7, ge=0)

    @model_validator(mode="after")
    def _can_be(self) -> "SetBOptions":
        if self.interactions < max(self.customers, self.products):
            raise ValueError(
                "interactions must be at least customers and products: everybody buys, and "
                "everything is bought"
            )
        if self.known_share + self.untitled_share > 1:
            raise ValueError("known_share and untitled_share must add up to 1 at most")
        return self


class Coverage(BaseModel):
    """How much of what was bought has its title from one source.

    Attributes:
        products: distinct products.
        interactions: their purchases.
    """

    model_config = ConfigDict(frozen=True)

    products: int
    interactions: int


class SetBSummary(BaseModel):
    """The truth about what was written.

    Attributes:
        interactions: lines of the purchases' files, without headers.
        users: distinct customers.
        products: distinct products of the purchases.
        duplicates: purchases that share customer, product and time with an earlier one.
        nameless_rows: purchases whose URL holds no name.
        lines: lines of each product file.
        known: products bought that each product file gives a title, fragments of HTML with
            a text in them among them.
        known_to_any: products bought that a product file gives a title.
        named: products bought that the URL of one of their purchases names.
        untitled: products bought that no source gives a title.
        title_source: what has its title from each source if the first that has one is asked,
            in the order of ``lines``, then ``URL``; the rest is ``missing``.
        users_known: customers all of whose products a product file gives a title.
        users_titled: customers all of whose products some source gives a title.
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
    """Write the purchases and the product files.

    Each is written beside its place and renamed when it is whole. Memory is bounded: customers
    are made a group at a time, and so are lines of products. Purchases have no dirt.

    Args:
        output_dir: folder of the files; made if it is missing.
        options: size, and how many products have a title.
    """
    output_dir.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([options.seed, 0])
    bought = Catalogue(options.products, rng)
    listed = Catalogue(options.listed, rng, first_brand=len(set(bought.brands)))
    titles = _decorate(bought.titles + listed.titles, rng)
    brands = bought.brands + listed.brands
    categories = bought.categories + listed.categories
    item_ids = make_item_ids(len(titles), rng)

    known, named = _draw_titled(options, rng)
    in_source = _draw_sources(np.concatenate([known, np.ones(options.listed, bool)]), rng)
    lines = {}
    for number, source in enumerate(SOURCES):
        lines[source.file] = _write_listing(
            output_dir / source.file,
            source,
            np.flatnonzero(in_source[number]),
            np.flatnonzero(~known),
            (item_ids, titles, brands, categories),
            np.random.default_rng([options.seed, 2, number]),
        )
    return _write_purchases(output_dir, options, bought, item_ids, titles, named, in_source, lines)


def _decorate(titles: list[str], rng: np.random.Generator) -> list[str]:
    """Titles of which some hold what needs care in HTML, URLs or Python literals."""
    draws = rng.random(len(titles)) / _COMMON_SHARE
    return [
        f"{title}, {_COMMON[int(draw * len(_COMMON))]}" if draw < 1 else title
        for title, draw in zip(titles, draws.tolist(), strict=True)
    ]


def _draw_titled(options: SetBOptions, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Which products the product files know, and which the URLs name; bool, shape (products,)."""
    order = rng.permutation(options.products)
    n_known = round(options.known_share * options.products)
    n_untitled = round(options.untitled_share * options.products)
    known = np.zeros(options.products, bool)
    known[order[:n_known]] = True
    named = np.ones(options.products, bool)
    named[order[len(order) - n_untitled :]] = False
    # Files know some of what the URLs do not name.
    named[order[: n_known // 20]] = False
    return known, named


def _draw_sources(known: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Which file gives which product a title; bool, shape (files, products)."""
    shares = np.array([source.share for source in SOURCES])
    inside = (rng.random((len(SOURCES), len(known))) < shares[:, None]) & known
    # Where chance put a known product nowhere, the largest file has it.
    inside[int(shares.argmax())] |= known & ~inside.any(axis=0)
    return inside


def _write_listing(
    path: Path,
    source: _Source,
    items: np.ndarray,
    unknown: np.ndarray,
    about: tuple[np.ndarray, list[str], list[str], list[str]],
    rng: np.random.Generator,
) -> int:
    """Write a product file, and say how many lines it has.

    Args:
        path: the file.
        source: how its lines look.
        items: products that it gives a title.
        unknown: products that no file knows: it lists a few of them, without a title.
        about: ids, titles, brands and categories of all products.
        rng: the file's own generator.
    """
    item_ids, titles, brands, categories = about
    untitled = rng.choice(unknown, len(unknown) // 50, replace=False)
    again = rng.choice(items, len(items) // 100, replace=False)
    every = np.concatenate([items, again, untitled])
    has_title = np.arange(len(every)) < len(items) + len(again)
    order = rng.permutation(len(every))
    # Drawn per product, so that a line that stands there twice is the same twice.
    prices = np.round(rng.gamma(4, 5, len(titles)) + 2.5, 2)
    draws = rng.random(len(titles))
    with whole_files([path], 1) as (file,):
        for first in range(0, len(order), _LINES_AT_A_TIME):
            text = []
            for place in order[first : first + _LINES_AT_A_TIME].tolist():
                item = int(every[place])
                listing = _Listing(
                    item_id=str(item_ids[item]),
                    title=titles[item] if has_title[place] else None,
                    brand=brands[item],
                    category=categories[item],
                    price=float(prices[item]),
                    draw=float(draws[item]),
                )
                text.append(source.line(listing, source.category) + "\n")
            file.write("".join(text).encode())
    return len(order)


def _line_of_2023(listing: _Listing, main_category: str) -> str:
    """JSON, key ``parent_asin``; without a title, null or blank."""
    return json.dumps(
        {
            "main_category": main_category,
            "title": listing.title or (None if listing.draw < 0.5 else " "),
            "average_rating": round(3 + 2 * listing.draw, 1),
            "rating_number": int(listing.draw * 500),
            "features": [],
            "description": [],
            "price": listing.price if listing.draw < 0.6 else None,
            "images": [],
            "videos": [],
            "store": listing.brand,
            "categories": [main_category, listing.category],
            "details": {"Brand": listing.brand},
            "parent_asin": listing.item_id,
        }
    )


def _line_of_2018(listing: _Listing, main_category: str) -> str:
    """JSON, key ``asin``; titles with entities, some within markup; without one, markup alone."""
    markup = '<span class="a-size-medium a-color-secondary a-text-normal">'
    title = ""
    if listing.title is None:
        title = markup if listing.draw < 0.5 else ""
    else:
        title = html.escape(listing.title.replace(", ", " - ", 1)).replace("&#x27;", "&#39;")
        if listing.draw < 0.03:
            title = f"{markup}{title}</span>"
        elif listing.draw < 0.05:
            title = f'<span class="a-size-medium">{title}'
    return json.dumps(
        {
            "category": [],
            "tech1": "",
            "description": [f"By {listing.brand}"],
            "fit": "",
            "title": title,
            "also_buy": [],
            "tech2": "",
            "brand": listing.brand,
            "feature": [],
            "rank": f"{int(listing.draw * 1e6):,} in {main_category} (",
            "also_view": [],
            "details": {},
            "main_cat": main_category,
            "similar_item": "",
            "date": "",
            "price": f"${listing.price}" if listing.draw < 0.6 else "",
            "asin": listing.item_id,
            "imageURL": [],
            "imageURLHighRes": [],
        }
    )


def _line_of_2014(listing: _Listing, main_category: str) -> str:
    """A Python literal, key ``asin``, all ASCII; without a title or a brand, no such key."""
    record: dict[str, Any] = {"asin": listing.item_id}
    if listing.title is not None:
        record["title"] = listing.title.replace(", ", " ")
    if listing.draw < 0.7:
        record["price"] = listing.price
    record["imUrl"] = f"http://ecx.images-amazon.com/images/I/{listing.item_id}.jpg"
    if listing.draw < 0.5:
        record["related"] = {"also_viewed": [f"B00{int(listing.draw * 1e7):07d}"]}
    record["salesRank"] = {main_category: int(listing.draw * 1e6)}
    if listing.draw < 0.6:
        record["brand"] = listing.brand if listing.draw < 0.55 else "Unknown"
    record["categories"] = [[main_category, listing.category]]
    return ascii(record)


SOURCES = [
    _Source("meta_All_Beauty.jsonl.gz", 0.11, "All Beauty", _line_of_2023),
    _Source("meta_Beauty_and_Personal_Care.jsonl.gz", 0.56, "All Beauty", _line_of_2023),
    _Source("meta_Health_and_Personal_Care.jsonl.gz", 0.07, "Health & Personal Care",
            _line_of_2023),
    _Source("meta_Baby_Products.jsonl.gz", 0.03, "Baby", _line_of_2023),
    _Source("meta_Appliances.jsonl.gz", 0.02, "Appliances", _line_of_2023),
    _Source("meta_All_Beauty.json.gz", 0.15, "All Beauty", _line_of_2018),
    _Source("meta_Appliances.json.gz", 0.02, "Appliances", _line_of_2018),
    _Source("meta_Beauty.json.gz", 0.35, "Beauty", _line_of_2014),
]  # fmt: skip
"""The product files, newest first."""


def _write_purchases(
    output_dir: Path,
    options: SetBOptions,
    catalogue: Catalogue,
    item_ids: np.ndarray,
    titles: list[str],
    named: np.ndarray,
    in_source: np.ndarray,
    lines: dict[str, int],
) -> SetBSummary:
    n_items = options.products
    rng = np.random.default_rng([options.seed, 3])
    lengths = draw_lengths(options.customers, options.interactions, options.evenness, rng)
    # Every product is bought once at least: at even distances, one after the other.
    distance = options.interactions // n_items
    turn = rng.permutation(n_items)
    columns = _Columns(catalogue, item_ids[:n_items], titles[:n_items], named)
    known_to_any = np.logical_or.reduce(in_source[:, :n_items])
    titled = known_to_any | named
    purchases_of = np.zeros(n_items, np.int64)
    counts = Counter[str]()
    row = 0
    parts = [output_dir / name for name in name_files(PURCHASES_FILE, options.files)]
    with (
        whole_files(parts, 1) as files,
        tqdm(total=options.interactions, unit="row", unit_scale=True, mininterval=1) as progress,
    ):
        for file in files:
            file.write(b"UserId,ProductId,ProductType,Rating,Timestamp,URL\n")
        for group, first in enumerate(range(0, options.customers, CUSTOMERS_AT_A_TIME)):
            own = np.random.default_rng([options.seed, 1, group])
            customers, items, times = buy(
                catalogue, lengths[first : first + CUSTOMERS_AT_A_TIME], own
            )
            rows = np.arange(row, row + len(items))
            row += len(items)
            forced = (rows % distance == 0) & (rows // distance < n_items)
            items[forced] = turn[rows[forced] // distance]
            # As in the real file: a clock that knows days alone.
            seconds = times // DAY_MS * (DAY_MS // 1000)
            # The forced purchase of a product shows its name, so that one of them does.
            shows = named[items] & (forced | (own.random(len(items)) >= _NAMELESS_SHARE))

            purchases_of += np.bincount(items, minlength=n_items)
            counts["nameless_rows"] += int((~shows).sum())
            n_customers = int(customers.max()) + 1
            same = (customers * n_items + items) * (1 << 16) + times // DAY_MS
            counts["duplicates"] += len(same) - len(np.unique(same))
            for name, fine in (("users_known", known_to_any), ("users_titled", titled)):
                spoilt = np.bincount(customers[~fine[items]], minlength=n_customers)
                counts[name] += int((spoilt == 0).sum())

            order = own.permutation(len(items))
            written = columns.lines(customers, items, seconds, shows, own)
            write_lines(files, written.take(pa.array(order)), customers[order])
            progress.update(len(items))
    return _summarise(options, named, in_source[:, :n_items], purchases_of, lines, counts)


class _Columns:
    """What the lines of purchases are put together from, per product.

    Args:
        catalogue: the products.
        item_ids: their ids.
        titles: their titles.
        named: which of them have a name in URLs; bool, shape (products,).
    """

    def __init__(
        self, catalogue: Catalogue, item_ids: np.ndarray, titles: list[str], named: np.ndarray
    ) -> None:
        host = "https://www.amazon.in"
        ids = item_ids.tolist()
        paths = [_url_name(title) for title in titles]
        self._heads = pa.array(
            [f",{item},{kind}," for item, kind in zip(ids, catalogue.categories, strict=True)], TEXT
        )
        self._with_name = pa.array(
            [f"{host}/{path}/dp/{item}" for item, path in zip(ids, paths, strict=True)], TEXT
        )
        self._without = pa.array([f"{host}/dp/{item}" for item in ids], TEXT)
        self._ends = pa.array(["\n", *(f"/ref=sr_1_{place}\n" for place in range(1, 49))], TEXT)
        self._ratings = pa.array(["5,", "4,", "3,", "2,", "1,"], TEXT)

    def lines(
        self,
        customers: np.ndarray,
        items: np.ndarray,
        seconds: np.ndarray,
        shows: np.ndarray,
        rng: np.random.Generator,
    ) -> pa.Array:
        """A line per purchase, with its line end."""
        users = make_user_ids(int(customers.max()) + 1, 14, rng)
        ratings = rng.choice(5, len(items), p=[0.62, 0.2, 0.08, 0.04, 0.06])
        places = np.where(shows, rng.integers(1, 49, len(items)), 0)
        product = pa.array(items)
        return join_text(
            users.take(pa.array(customers)),
            self._heads.take(product),
            self._ratings.take(pa.array(ratings)),
            pa.array(seconds),
            ",",
            pc.if_else(pa.array(shows), self._with_name.take(product), self._without.take(product)),
            self._ends.take(pa.array(places)),
        )


def _url_name(title: str) -> str:
    return quote("-".join(title.replace(",", "").split()))


def _summarise(
    options: SetBOptions,
    named: np.ndarray,
    in_source: np.ndarray,
    purchases_of: np.ndarray,
    lines: dict[str, int],
    counts: Counter[str],
) -> SetBSummary:
    left = np.ones(options.products, bool)
    title_source = {}
    for name, has_title in [*zip(lines, in_source, strict=True), (URL, named), (MISSING, left)]:
        first = left & has_title
        left = left & ~has_title
        title_source[name] = Coverage(
            products=int(first.sum()), interactions=int(purchases_of[first].sum())
        )
    known = np.logical_or.reduce(in_source)
    return SetBSummary(
        interactions=options.interactions,
        users=options.customers,
        products=options.products,
        duplicates=counts["duplicates"],
        nameless_rows=counts["nameless_rows"],
        lines=lines,
        known={name: int(row.sum()) for name, row in zip(lines, in_source, strict=True)},
        known_to_any=int(known.sum()),
        named=int(named.sum()),
        untitled=int((~known & ~named).sum()),
        title_source=title_source,
        users_known=counts["users_known"],
        users_titled=counts["users_titled"],
    )


def main() -> None:
    """Write a set from the command line."""
    parser = argparse.ArgumentParser(prog="python -m bazar.sample_sets", description=__doc__)
    sets = parser.add_subparsers(dest="set", required=True)
    for name, defaults in (("set_a", SET_A), ("set_b", SetBOptions())):
        command = sets.add_parser(name)
        command.add_argument("--output-dir", type=Path, required=True)
        add_options(command, defaults)
    arguments = vars(parser.parse_args())
    output_dir, chosen = arguments.pop("output_dir"), arguments.pop("set")
    summary: BaseModel
    if chosen == "set_a":
        summary = sample_store.generate(output_dir, sample_store.StoreOptions(**arguments))
        print(summary.model_dump_json(indent=2, exclude={"unsold"}))  # noqa: T201
    else:
        summary = generate_set_b(output_dir, SetBOptions(**arguments))
        print(summary.model_dump_json(indent=2))  # noqa: T201
    print(f"written to {output_dir}")  # noqa: T201


if __name__ == "__main__":
    main()
