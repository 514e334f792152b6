"""Propose the sources of a shop from its files."""

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from bazar.config.sources import InteractionColumn
from bazar.errors import InputError
from bazar.ingestion.inspection.dialogue import Dialogue
from bazar.ingestion.inspection.header_names import Role, find_roles, normalise_name
from bazar.ingestion.inspection.mapping import (
    ShopFile,
    describe_missing,
    is_candidate,
    map_columns,
)
from bazar.ingestion.inspection.profiles import Profile, profile_columns
from bazar.ingestion.inspection.records import load_records
from bazar.ingestion.inspection.row_rules import (
    Rules,
    find_child_lines,
    find_credit_notes,
    find_events,
    find_filled_columns,
    find_statuses,
)
from bazar.ingestion.inspection.service_items import FindItems, exclude_service_items
from bazar.ingestion.inspection.sources import Proposal, Source
from bazar.ingestion.inspection.value_rules import (
    find_decimal,
    find_guests,
    find_id_steps,
    find_times,
)
from bazar.ingestion.inspection.words import names_cancellation
from bazar.ingestion.readers.sample import read_sample
from bazar.ingestion.readers.shape import FileShape, inspect_file

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend

_SAMPLED_ROWS = 20_000
_ID_ROLES = ("user_id", "item_id", "order_id")
_CERTAIN_ENCODINGS = ("ascii", "utf-8", "utf-16", "utf-32")
"""Beginnings of the encodings that ``auto`` finds for certain."""


def propose_sources(
    paths: Iterable[Path],
    connection: "Backend",
    dialogue: Dialogue,
    find_items: FindItems,
    now_ms: int,
) -> Proposal:
    """Inspect files, and propose how to read them.

    Args:
        paths: the files.
        connection: where the records are loaded.
        dialogue: asks when the files are not clear.
        find_items: lists items that are probably not products.
        now_ms: the current time, UTC milliseconds.

    Raises:
        InputError: if a file cannot be read, or no file has orders.
    """
    resolved = list(dict.fromkeys(make_absolute(path.expanduser()) for path in paths))
    raw_dir = Path(os.path.commonpath([path.parent for path in resolved]))
    files = [file for path in resolved for file in open_shop_file(path)]
    for file in files:
        map_columns(file, dialogue)
    if not any(file.kind == "orders" for file in files):
        raise _make_missing_error(files)
    proposal = Proposal(raw_dir, [], [], _describe_unused(files))
    groups = _group_files(file for file in files if file.kind == "orders")
    for name, group in _name_groups(groups, "orders").items():
        proposal.interactions.append(_propose_interactions(name, group, connection))
    groups = _group_files(file for file in files if file.kind == "products")
    for name, group in _name_groups(groups, "products").items():
        proposal.products.append(_propose_products(name, group, connection))
    _match_item_ids(proposal, dialogue)
    for source in proposal.interactions:
        _find_rules(source, raw_dir, dialogue, now_ms)
    _add_products_of_orders(proposal, dialogue)
    for source in proposal.products:
        _add_product_keys(source, raw_dir)
    _unify_ids(proposal)
    exclude_service_items(proposal, find_items, dialogue)
    return proposal


def make_absolute(path: Path) -> Path:
    """Return an absolute path without ``..``. Links are kept, because they are in the project."""
    return Path(os.path.normpath(path.absolute()))


def open_shop_file(path: Path) -> list[ShopFile]:
    """Return an inspected file, or one for each sheet with a header if it is a workbook.

    Raises:
        InputError: if the file cannot be read, or no sheet has a header.
    """
    shape = inspect_file(path)
    if shape.pointers:
        shape = shape.select_list(_choose_list(shape))
    if len(shape.sheets) < 2:
        return [ShopFile(path, shape, _profile_file(path, shape))]
    files, errors = [], []
    for sheet in shape.sheets:
        try:
            shape = inspect_file(path, sheet=sheet)
            files.append(ShopFile(path, shape, _profile_file(path, shape)))
        except InputError as error:
            # A sheet without a table, such as a chart or notes.
            errors.append(error)
    if not files:
        raise errors[0]
    return files


def _choose_list(shape: FileShape) -> tuple[str, ...]:
    """Return the pointers of the list with the best name of a product's id; none if no list is.

    It is the list of the lines of an order, or of the variants of a product. Lists within other
    lists, such as those of refunds, have the same names and come last.
    """
    ranks = [
        (rank, len(pointer.lists), place)
        for place, (name, pointer) in enumerate(zip(shape.columns, shape.pointers, strict=True))
        if (rank := find_roles(name.split(".")[-1]).get("item_id")) is not None
    ]
    return shape.pointers[min(ranks)[2]].lists if ranks else ()


def _profile_file(path: Path, shape: FileShape) -> dict[str, Profile]:
    """Return the profiles of the columns whose names may be those of roles."""
    names = [name for name in dict.fromkeys(shape.columns) if is_candidate(name, shape.columns)]
    sample = read_sample(path, shape, _SAMPLED_ROWS)
    if not sample:
        raise InputError(
            f"{path} is empty: it has a header but no record. Export or download it again."
        )
    return profile_columns(sample, names)


def _make_missing_error(files: list[ShopFile]) -> InputError:
    """Return the error if no file has all columns of orders."""
    advice = (
        "Orders need a column with the customer, one with the product, and one with the time (or "
        "a position that sorts the purchases of a customer). If the file has these columns under "
        "other names, write conf/NAME/globals.yml by hand:\n"
        "  dataset: NAME\n"
        "  raw_dir: FOLDER\n"
        "  interactions:\n"
        "    orders:\n"
        "      files: FILE\n"
        "      columns: {user_id: YOUR COLUMN, item_id: YOUR COLUMN, timestamp: YOUR COLUMN}"
    )
    roles = [set(file.roles) for file in files]
    together: set[Role] = set().union(*roles)
    if len(files) > 1 and {"user_id", "item_id", "timestamp", "order_id"} <= together:
        advice = (
            "No single file has all of them, but together they do. Join the files first, for "
            "example by the id of the order, and save one file with a row per order line."
        )
    return InputError(f"No file can be read as orders:\n{describe_missing(files)}\n{advice}")


def _describe_unused(files: list[ShopFile]) -> list[str]:
    return [
        f"{_describe_file(file)} is not used: it has neither orders nor products with titles. Its "
        f"columns are {', '.join(file.columns)}."
        for file in files
        if file.kind is None
    ]


def _describe_file(file: ShopFile) -> str:
    is_one_of_many = len(file.shape.sheets) > 1
    return f"{file.path.name}, sheet {file.shape.sheet}" if is_one_of_many else file.path.name


def _group_files(files: Iterable[ShopFile]) -> list[list[ShopFile]]:
    """Return groups of files with the same header."""
    groups: dict[Any, list[ShopFile]] = {}
    for file in files:
        shape = file.shape
        key = (tuple(shape.columns), shape.file_format, shape.encoding, shape.sheet)
        groups.setdefault(key, []).append(file)
    return list(groups.values())


def _name_groups(groups: list[list[ShopFile]], default: str) -> dict[str, list[ShopFile]]:
    """Return a name for each group: the default for a single group, otherwise that of a file."""
    if len(groups) == 1:
        return {default: groups[0]}
    named: dict[str, list[ShopFile]] = {}
    for number, group in enumerate(groups, start=1):
        sheet = group[0].shape.sheet if len(group[0].shape.sheets) > 1 else None
        stem = sheet or group[0].path.name.split(".")[0]
        name = re.sub(r"\W+", "_", stem).strip("_").lower() or f"{default}_{number}"
        named[f"{name}_{number}" if name in named else name] = group
    return named


def _propose_interactions(name: str, files: list[ShopFile], connection: "Backend") -> Source:
    file = files[0]
    columns = [*file.roles.values(), *file.statuses]
    columns += [column for column in file.columns if names_cancellation(column)]
    child = file.platform.children if file.platform else None
    columns += [column for column in file.columns if normalise_name(column) == child]
    # Further ids, because a file of products may have others.
    columns += file.alternatives.get("item_id", [])
    records = load_records(connection, f"interactions_{name}", files, columns)
    return Source(name, files, records, Rules())


def _propose_products(name: str, files: list[ShopFile], connection: "Backend") -> Source:
    file = files[0]
    columns = [*file.roles.values(), *file.alternatives.get("item_id", [])]
    records = load_records(connection, f"products_{name}", files, columns)
    return Source(name, files, records, Rules())


def _match_item_ids(proposal: Proposal, dialogue: Dialogue) -> None:
    """Choose the columns of ids that orders and products have in common."""
    for orders in proposal.interactions:
        for products in proposal.products:
            shares = {
                (ours, theirs): _compute_known_share(orders, ours, products, theirs)
                for ours in _list_item_columns(orders.file)
                for theirs in _list_item_columns(products.file)
            }
            # The first pair is that of the best names.
            best = max(shares, key=lambda pair: round(shares[pair], 1))
            if shares[best] > 0.1:
                _choose_item_column(orders.file, best[0])
                _choose_item_column(products.file, best[1])
            if shares[best] < 0.5:
                dialogue.unsure.append(
                    f"{products.file.path.name} has only {shares[best]:.0%} of the products that "
                    f"are in {orders.file.path.name} ({best[1]} and {best[0]})."
                )


def _list_item_columns(file: ShopFile) -> list[str]:
    return [file.roles["item_id"], *file.alternatives.get("item_id", [])]


def _choose_item_column(file: ShopFile, column: str) -> None:
    others = [each for each in _list_item_columns(file) if each != column]
    file.roles["item_id"], file.alternatives["item_id"] = column, others


def _compute_known_share(orders: Source, ours: str, products: Source, theirs: str) -> float:
    """Return the share of the product ids in orders that are in the products, ignoring case."""
    ids = f"SELECT DISTINCT lower({orders.records.keys[ours]}) AS id FROM {orders.records.name}"
    known = f"SELECT lower({products.records.keys[theirs]}) FROM {products.records.name}"
    sql = f"SELECT avg((id IN ({known}))::INT) FROM ({ids}) WHERE id IS NOT NULL"
    share = orders.records.query(sql)[0][0]
    return float(share or 0)


def _find_rules(source: Source, raw_dir: Path, dialogue: Dialogue, now_ms: int) -> None:
    """Find the keys of a source of interactions."""
    file, records, rules = source.file, source.records, source.rules
    _add_file_keys(source, raw_dir)
    # The columns come first in the file, but are only known after the rules.
    rules.keys["columns"] = {}
    find_times(file, records, rules, dialogue, now_ms, f"interactions.{source.name}")
    find_decimal(file, rules)
    find_filled_columns(file, records, rules)
    find_events(file, records, rules, dialogue)
    find_statuses(file, records, rules, dialogue)
    find_child_lines(file, records, rules)
    find_credit_notes(file, records, rules)
    find_guests(file, records, rules, dialogue)
    rules.keys["columns"] = {
        role: file.roles[role] for role in get_args(InteractionColumn) if role in file.roles
    }
    for role, column in rules.keys["columns"].items():
        rules.comments.setdefault(f"columns.{role}", _describe_column(file, role, column))
    readable = {*rules.keys["columns"].values(), *rules.keys.get("where", {})}
    readable |= set(rules.keys.get("returns", {}).get("where", {}))
    if "fill_within_order" in rules.keys:
        filled = [column for column in rules.keys["fill_within_order"] if column in readable]
        if filled:
            rules.keys["fill_within_order"] = filled
        else:
            del rules.keys["fill_within_order"]


def _describe_column(file: ShopFile, role: str, column: str) -> str:
    profile = file.profiles[column]
    if role in _ID_ROLES:
        # Ids may be addresses of people, which do not belong in a configuration.
        is_all = profile.values < _SAMPLED_ROWS * profile.filled
        where = "" if is_all else f" in the first {_SAMPLED_ROWS:,} rows"
        return f"{profile.distinct:,} different values{where}"
    examples = ", ".join(" ".join(example.split())[:40] for example in profile.examples)
    return f"such as {examples}"


def _add_file_keys(source: Source, raw_dir: Path) -> None:
    """Add the keys that describe how to open the files."""
    file, keys, comments = source.file, source.rules.keys, source.rules.comments
    names = [each.path.relative_to(raw_dir).as_posix() for each in source.files]
    keys["files"] = names[0] if len(names) == 1 else names
    shape = file.shape
    parts = [
        file.platform.label if file.platform else "",
        shape.file_format,
        f"separated by {shape.delimiter!r}" if shape.delimiter else "",
    ]
    comments["files"] = ", ".join(part for part in parts if part)
    if len(shape.sheets) > 1:
        keys["sheet"] = shape.sheet
    encoding = shape.encoding
    if encoding is not None and not encoding.startswith(_CERTAIN_ENCODINGS):
        keys["encoding"] = encoding
        comments["encoding"] = "The text is not UTF-8. This is the most likely encoding."


def _add_products_of_orders(proposal: Proposal, dialogue: Dialogue) -> None:
    """Read the titles that orders have, after the sources that have only products."""
    taken = {source.name for source in proposal.products}
    for orders in proposal.interactions:
        if {"title", "url"} & set(orders.file.roles):
            name = f"{orders.name}_titles" if orders.name in taken else orders.name
            proposal.products.append(Source(name, orders.files, orders.records, Rules()))
    if not proposal.products:
        dialogue.unsure.append(
            "No file has titles of products. Models that read titles need a file with the id and "
            "the title of each product."
        )


def _add_product_keys(source: Source, raw_dir: Path) -> None:
    """Add the keys of a source of products."""
    file = source.file
    _add_file_keys(source, raw_dir)
    title: Role = "title" if "title" in file.roles else "url"
    columns: dict[str, Any] = {"item_id": file.roles["item_id"], title: file.roles[title]}
    attributes = [file.roles[role] for role in ("brand", "category") if role in file.roles]
    if attributes:
        columns["attributes"] = attributes
    source.rules.keys["columns"] = columns
    for role in ("item_id", title):
        source.rules.comments[f"columns.{role}"] = _describe_column(file, role, columns[role])


def _unify_ids(proposal: Proposal) -> None:
    """Find the steps that unify ids. Orders and products have the same steps."""
    user_ids = [(source.records, source.file.roles["user_id"]) for source in proposal.interactions]
    sources = [*proposal.interactions, *proposal.products]
    item_ids = [(source.records, source.file.roles["item_id"]) for source in sources]
    user_steps, user_reason = find_id_steps(user_ids)
    item_steps, item_reason = find_id_steps(item_ids)
    for source in sources:
        steps = {"item_id": item_steps} if item_steps else {}
        reasons = {"item_id": item_reason}
        if source in proposal.interactions and user_steps:
            steps = {"user_id": user_steps, **steps}
            reasons["user_id"] = user_reason
        if steps:
            source.rules.keys["normalise_ids"] = steps
            for column in steps:
                source.rules.comments[f"normalise_ids.{column}"] = reasons[column]
