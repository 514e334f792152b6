"""List titles that are notes, and items that are probably not products."""

import re
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa

SUSPICIOUS_SCHEMA = pa.schema(
    [
        ("item_id", pa.string()),
        ("title", pa.string()),
        ("lines", pa.int64()),
        ("reason", pa.string()),
    ]
)
"""Columns of a table of suspicious titles or items. ``lines``: number of interactions."""

_MAX_ORDER_SHARE = 1 / 3
_MIN_ORDERS = 30
"""With fewer orders, an ordinary product may be part of a third of them."""
_MOST = 0.5
_USUAL = 0.9
"""Share of the ids or titles from which the others are exceptions."""

_QUALIFIERS = (
    "standard|express|economy|priority|free|gratis|kostenlos|gratuite?|home|domestic|national|"
    "international|next|day|bank|amazon|ebay|paypal|dotcom|dhl|dpd|ups|gls|hermes|fedex|usps|royal|"
    "mail|uk|eu|us|de|of|for|and|und|et|costs?|fees?|charges?|kosten|coste|gastos|frais|custos?|"
    "handling|service|entry|entries|[0-9]+"
)


def _is_all(words: str) -> str:
    """Return a pattern of titles with no other words than these and their qualifiers."""
    return rf"^\W*(?:(?:{_QUALIFIERS})\W+)*(?:{words})(?:\W+(?:{_QUALIFIERS}))*\W*$"


SERVICE_TITLE_PATTERNS = {
    "postage and delivery": _is_all(
        "post|postage|shipping|shipment|carriage|delivery|versand|lieferung|porto|env[iíÍ]os?|"
        "livraison|frete|portes|transporte?|entrega"
    )
    + r"|\b(?:postage|(?:shipping|delivery) (?:cost|fee|charge)s?|versandkosten|lieferkosten|"
    r"gastos de env[iíÍ]o|frais de (?:port|livraison)|custos? de envio|portes de envio)\W*$",
    "fees": _is_all(
        "fees?|charges?|surcharge|commissions?|provision|geb[uüÜ]hr(?:en)?|comisi[oóÓ]n|"
        "comiss[aãÃ]o|insurance"
    )
    + r"|\bbad debts?\b",
    "vouchers and gift cards": r"\b(?:gift[ -]?(?:vouchers?|cards?|certificates?)|vouchers?|"
    r"(?:geschenk)?gutscheine?|geschenkkarten?|tarjetas? (?:de )?regalo|cheques? regalo|"
    r"cartes? cadeaux?|cart[aãÃ]o presente|vale[ -]presente)"
    r"(?:[\W0-9]+(?:eur|euros?|gbp|usd)?)?\W*$",
    "gift wrapping": _is_all(
        "gift[ -]?wrap(?:ping)?|geschenkverpackung|envoltorio (?:de |para )?regalo|"
        "(?:emballage|paquet) cadeau|embrulho|embalagem (?:de |para )?presente"
    ),
    "discounts": _is_all("discounts?|rabatte?|descuentos?|descontos?|remises?")
    + r"|\b(?:discount|rabatt|descuento|desconto)\W*$",
    "samples and tests": _is_all(
        "samples?|muster|muestras?|[eéÉ]chantillons?|amostras?|tests?|prueba|essai|teste|dummy"
    )
    + r"|\b(?:test (?:product|item|article)|testprodukt|testartikel|producto de prueba|"
    r"produit (?:de )?test|produto de teste)\b",
    "deposits and donations": _is_all(
        "deposits?|pfand|anzahlung|kaution|dep[oóÓ]sito|fianza|consigne|donations?|spenden?|"
        "donaci[oóÓ]n|doa[cçÇ][aãÃ]o"
    ),
    "manual entries": _is_all("manual|manuell|korrektur|correction|ajustes?|ajustements?")
    + r"|^\W*(?:(?:amazon|ebay|stock)\W+)?adjust(?:ments?)?\b",
}
"""Regular expressions of the titles of services, by kind, for ``exclude_items.title_patterns``.
They must ignore case. A word that may be a part of a product's name must be the whole title:
``Carriage`` is a service, but ``Carriage Clock`` and ``Gift Wrap Set`` are products."""

_SERVICES = {
    kind: re.compile(pattern, re.IGNORECASE) for kind, pattern in SERVICE_TITLE_PATTERNS.items()
}

_NOTES = """
    damaged damages damage damges broken smashed crushed faulty dirty wet rusty rust mouldy torn
    discoloured lost missing missings found gone mia short returned returns wrong wrongly incorrect
    incorrectly coding mixed error mistake amendment check checked counted mailout stocktake adjust
    adjusted adjustment adjustments sample samples test testing temp update manual unknown
    unsellable unsaleable display destroyed debit credit credited
    beschädigt defekt kaputt verloren fehlt falsch fehler muster korrektur
    dañado dañada roto rota perdido perdida muestra prueba ajuste
    endommagé endommagée abîmé cassé perdu échantillon essai ajustement erreur
    danificado danificada amostra teste erro
"""
_NOTE_FILLERS = """
    a an again and as at away barcode bits by cant carton cartons code coded co ctn dotcom ebay
    amazon entered entry etc find for from given in invoice is it item items mix my no not of off on
    or out previous qnty quality sales sets show size sold stock take the thrown to up used was were
    with
"""
_NOTE_WORDS = frozenset(_NOTES.split())
"""A title is a note if it has one of these words, and no others than these and the fillers."""
_WORDS_IN_NOTES = _NOTE_WORDS | frozenset(_NOTE_FILLERS.split())
_WORD = re.compile(r"[^\W_]+")
_IDEOGRAPHS = "\u2e80"
"""From this character on, a letter is a syllable or a word."""


def find_suspicious_titles(interactions: ir.Table, titles: ir.Table) -> pa.Table:
    """List titles that are probably not the name of a product, such as ``?? damaged``.

    A title is suspicious if it consists of words of stock keeping (``mailout``, ``wrongly coded``),
    begins with a question mark, has fewer than three letters, or is in lower case in a shop that
    writes nine of ten titles in upper case.

    Args:
        interactions: ``item_id`` and other columns.
        titles: ``item_id, title``, each item once.

    Returns:
        Columns of :data:`SUSPICIOUS_SCHEMA`, most lines first.
    """
    lines = interactions.group_by("item_id").aggregate(lines=interactions.count())
    titled = titles.filter(titles.title.notnull())
    joined = titled.left_join(lines, "item_id")
    rows = joined.select("item_id", "title", lines=joined.lines.fill_null(0)).to_pyarrow()
    is_upper = [title.isupper() for title in rows["title"].to_pylist()]
    is_upper_usual = sum(is_upper) >= _USUAL * len(is_upper)
    return _list_found(
        {**row, "reason": _explain_title(row["title"], is_upper_usual)} for row in rows.to_pylist()
    )


def find_suspicious_items(interactions: ir.Table, titles: ir.Table) -> pa.Table:
    """List items that are probably not products, such as postage, fees and vouchers.

    An item is suspicious if its title is that of a service (:data:`SERVICE_TITLE_PATTERNS`; without
    a title, its id), if its id has no digit where nine of ten ids have one, if the price is 0 or
    negative in most of its lines (0 only where most lines have another price), or if it is part of
    more than a third of all orders (of at least 30).

    Args:
        interactions: ``item_id, order_id, user_id, timestamp, price``. Lines without an order id
            are of one order if the user and the time are equal.
        titles: ``item_id, title``, each item once.

    Returns:
        Columns of :data:`SUSPICIOUS_SCHEMA`, most lines first. ``reason`` has all reasons,
        separated by ``", "``.
    """
    order = ibis.coalesce(
        interactions.order_id, interactions.user_id + " " + interactions.timestamp.cast("string")
    )
    ordered = interactions.mutate(order=order)
    counted = ordered.group_by("item_id").aggregate(
        lines=ordered.count(),
        priced=ordered.price.count(),
        free=(ordered.price == 0).sum().fill_null(0),
        negative=(ordered.price < 0).sum().fill_null(0),
        orders=ordered.order.nunique(),
    )
    joined = counted.left_join(titles.select("item_id", "title"), "item_id")
    rows = joined.select(*counted.columns, "title").to_pyarrow().to_pylist()
    totals = {
        "orders": ordered.order.nunique().to_pyarrow().as_py(),
        "digits": sum(_has_digit(row["item_id"]) for row in rows) / max(len(rows), 1),
        "free": sum(row["free"] for row in rows) / max(sum(row["priced"] for row in rows), 1),
    }
    return _list_found({**row, "reason": _explain_item(row, totals)} for row in rows)


def find_unreadable_titles(titles: ir.Table) -> pa.Table:
    """List titles in which characters were lost (U+FFFD), because a file has another encoding.

    Args:
        titles: ``item_id, title``.

    Returns:
        ``item_id, title`` in order of ``item_id``.
    """
    lost = titles.filter(titles.title.contains("\ufffd"))
    return lost.select("item_id", "title").order_by("item_id").to_pyarrow()


def _list_found(rows: Any) -> pa.Table:
    found = [row for row in rows if row["reason"]]
    found.sort(key=lambda row: (-row["lines"], row["item_id"]))
    names = SUSPICIOUS_SCHEMA.names
    return pa.Table.from_pylist(
        [{name: row[name] for name in names} for row in found], SUSPICIOUS_SCHEMA
    )


def _explain_title(title: str, is_upper_usual: bool) -> str | None:
    words = [word.lower() for word in _WORD.findall(title)]
    if title.startswith("?"):
        return "begins with a question mark"
    if not _NOTE_WORDS.isdisjoint(words) and all(
        word in _WORDS_IN_NOTES or _has_digit(word) for word in words
    ):
        return "a note"
    if sum(3 if letter >= _IDEOGRAPHS else letter.isalpha() for letter in title) < 3:
        return "fewer than three letters"
    if is_upper_usual and title.islower():
        return "lower case, unlike the other titles"
    return None


def _explain_item(row: dict[str, Any], totals: dict[str, float]) -> str:
    text = row["title"] or re.sub(r"[\W\d_]+", " ", row["item_id"])
    reasons = [kind for kind, pattern in _SERVICES.items() if pattern.search(text)]
    if totals["digits"] >= _USUAL and not _has_digit(row["item_id"]):
        reasons.append("id without digits")
    for name, column in (("price 0", "free"), ("negative price", "negative")):
        share = row[column] / max(row["priced"], 1)
        is_usual = column == "free" and totals["free"] > _MOST
        if share > _MOST and not is_usual:
            reasons.append(f"{name} in {share:.0%} of its lines")
    order_share = row["orders"] / max(totals["orders"], 1)
    if totals["orders"] >= _MIN_ORDERS and order_share > _MAX_ORDER_SHARE:
        reasons.append(f"in {order_share:.0%} of all orders")
    return ", ".join(reasons)


def _has_digit(text: str) -> bool:
    return any(character.isdigit() for character in text)
