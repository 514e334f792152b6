"""Lines of product files in three versions of Amazon's metadata format: 2014, 2018 and 2023."""

import html
import json
from collections.abc import Callable
from typing import Any, NamedTuple


class Listing(NamedTuple):
    """A product in a product file."""

    item_id: str
    title: str | None
    """None if the file has no title of the product."""
    brand: str
    category: str
    price: float
    draw: float
    """Random number from 0 to 1. It selects a variant of the line."""


class ProductFile(NamedTuple):
    """A product file."""

    file: str
    share: float
    """Of the products with a title in any file: the share with a title in this file."""
    category: str
    make_line: Callable[[Listing, str], str]
    """Function of a listing and the category that returns a line without a line break."""


def make_line_2023(listing: Listing, main_category: str) -> str:
    """Return a JSON line with the key ``parent_asin``. A missing title is null or a space."""
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


def make_line_2018(listing: Listing, main_category: str) -> str:
    """Return a JSON line with the key ``asin``.

    Titles contain HTML entities, and some contain tags. A missing title is empty or only a tag.
    """
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


def make_line_2014(listing: Listing, main_category: str) -> str:
    """Return a Python literal in ASCII with the key ``asin``.

    The key of a missing title or brand is omitted.
    """
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


PRODUCT_FILES = [
    ProductFile("meta_All_Beauty.jsonl.gz", 0.11, "All Beauty", make_line_2023),
    ProductFile("meta_Beauty_and_Personal_Care.jsonl.gz", 0.56, "All Beauty", make_line_2023),
    ProductFile("meta_Health_and_Personal_Care.jsonl.gz", 0.07, "Health & Personal Care",
                make_line_2023),
    ProductFile("meta_Baby_Products.jsonl.gz", 0.03, "Baby", make_line_2023),
    ProductFile("meta_Appliances.jsonl.gz", 0.02, "Appliances", make_line_2023),
    ProductFile("meta_All_Beauty.json.gz", 0.15, "All Beauty", make_line_2018),
    ProductFile("meta_Appliances.json.gz", 0.02, "Appliances", make_line_2018),
    ProductFile("meta_Beauty.json.gz", 0.35, "Beauty", make_line_2014),
]  # fmt: skip
"""The product files, newest first."""
