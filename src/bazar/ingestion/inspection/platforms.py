"""Exports that are recognised by their header."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from bazar.ingestion.inspection.header_names import Role, normalise_name


@dataclass(frozen=True)
class Platform:
    """An export with a known header. Names are normalised.

    Attributes:
        label: name of the export, for the reader.
        header: columns that only this export has together.
        roles: columns by role, the preferred ones first. An empty tuple: no column has this role.
            Other roles are found by name.
        children: a column that is filled in the lines that belong to another line of the same
            order, such as the variant that was bought within a configurable product.
        is_utc: whether times without an offset are in UTC.
    """

    label: str
    header: frozenset[str]
    roles: dict[Role, tuple[str, ...]] = field(default_factory=dict)
    children: str | None = None
    is_utc: bool = False


def _make_platform(
    label: str,
    header: str,
    roles: dict[Role, tuple[str, ...]] | None = None,
    children: str | None = None,
    is_utc: bool = False,
) -> Platform:
    return Platform(label, frozenset(header.split()), roles or {}, children, is_utc)


_PLATFORMS = (
    _make_platform(
        "orders export of Shopify",
        "name financialstatus lineitemname lineitemquantity createdat",
        {
            "user_id": ("email", "phone"),
            "order_id": ("name",),
            "item_id": ("lineitemsku",),
            "title": ("lineitemname",),
            "timestamp": ("createdat",),
            "status": ("financialstatus",),
            "category": (),
        },
    ),
    _make_platform(
        "orders of Shopify's API",
        "createdat financialstatus lineitemssku lineitemstitle",
        {
            "user_id": ("customerid", "email"),
            "order_id": ("name", "ordernumber", "id"),
            "item_id": ("lineitemssku", "lineitemsvariantid", "lineitemsproductid"),
            "title": ("lineitemsname", "lineitemstitle"),
            "timestamp": ("createdat",),
            "price": ("lineitemsprice",),
            "status": ("financialstatus",),
            "category": (),
        },
    ),
    _make_platform(
        "products export of Shopify",
        "handle title vendor variantsku",
        {"item_id": ("variantsku",), "title": ("title",), "category": ("productcategory", "type")},
    ),
    _make_platform(
        "Advanced Order Export of WooCommerce",
        "ordernumber orderstatus orderdate itemname quantityrefund",
        {"status": ("orderstatus",), "category": ()},
    ),
    _make_platform(
        "orders of WooCommerce's API",
        "number datecreatedgmt lineitemsproductid lineitemsquantity",
        {
            "user_id": ("customerid", "billingemail"),
            "order_id": ("number", "id"),
            "item_id": ("lineitemssku", "lineitemsproductid"),
            "title": ("lineitemsname",),
            "timestamp": ("datecreatedgmt",),
            "price": ("lineitemsprice",),
            "status": ("status",),
            "category": (),
        },
        is_utc=True,
    ),
    _make_platform(
        "order lines of WooCommerce", "orderitemid orderid productid variationid productqty"
    ),
    _make_platform(
        "order items of Magento",
        "incrementid sku qtyordered",
        {
            "order_id": ("incrementid",),
            "item_id": ("sku",),
            "quantity": ("qtyordered",),
            "title": ("name",),
            "category": (),
        },
        children="parentitemid",
        # Magento's database stores UTC.
        is_utc=True,
    ),
    _make_platform(
        "report All Orders of Amazon Seller Central",
        "amazonorderid purchasedate orderstatus sku asin",
        {
            "order_id": ("amazonorderid",),
            "item_id": ("sku", "asin"),
            "timestamp": ("purchasedate",),
            "status": ("orderstatus", "itemstatus"),
            "title": ("productname",),
        },
    ),
    _make_platform(
        "order report of Amazon Seller Central",
        "orderid orderitemid purchasedate buyeremail quantitypurchased sku",
        {"order_id": ("orderid",), "item_id": ("sku",), "timestamp": ("purchasedate",)},
    ),
    _make_platform(
        "events of Google Analytics 4",
        "eventname eventtimestamp userpseudoid",
        {
            "user_id": ("userid", "userpseudoid"),
            "timestamp": ("eventtimestamp",),
            "event_type": ("eventname",),
        },
    ),
    _make_platform(
        "event log of REES46",
        "eventtime eventtype productid categorycode userid usersession",
        {"item_id": ("productid",), "timestamp": ("eventtime",), "category": ("categorycode",)},
    ),
    _make_platform(
        "order lines of the UCI Online Retail data", "stockcode description invoicedate"
    ),
    _make_platform(
        "reviews of Amazon (2023)",
        "rating parentasin userid timestamp",
        {"item_id": ("parentasin",), "title": ()},
    ),
    _make_platform(
        "reviews of Amazon (2014 or 2018)",
        "reviewerid asin overall unixreviewtime",
        {"item_id": ("asin",), "title": (), "brand": ()},
    ),
    _make_platform(
        "product metadata of Amazon (2023)",
        "parentasin title store categories",
        {"item_id": ("parentasin",), "title": ("title",), "brand": ("store",)},
    ),
)


def recognise_platform(columns: Iterable[str]) -> Platform | None:
    """Return the platform that wrote a file, or None if the header is unknown."""
    found = {normalise_name(name) for name in columns}
    return next((platform for platform in _PLATFORMS if platform.header <= found), None)


_REVIEW_COLUMNS = {
    "text", "reviewtext", "reviewbody", "reviewheadline", "summary", "helpfulvote",
    "verifiedpurchase", "helpfulvotes",
}  # fmt: skip


def has_reviews(columns: Iterable[str]) -> bool:
    """Return whether the rows are reviews. Their titles are not those of products."""
    return bool(_REVIEW_COLUMNS & {normalise_name(name) for name in columns})
