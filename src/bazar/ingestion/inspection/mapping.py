"""Find the role of each column of a file, such as user id, item id or time."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from bazar.ingestion.inspection.dialogue import Dialogue, Question
from bazar.ingestion.inspection.header_names import Role, find_roles, normalise_name
from bazar.ingestion.inspection.platforms import Platform, has_reviews, recognise_platform
from bazar.ingestion.inspection.profiles import Profile, find_contradiction
from bazar.ingestion.readers.shape import FileShape

FileKind = Literal["orders", "products"]

_ORDER: tuple[Role, ...] = (
    "timestamp", "event_type", "order_id", "user_id", "item_id", "quantity", "price", "currency",
    "rating", "title", "url", "brand", "category", "session",
)  # fmt: skip
"""Roles in the order in which they choose a column."""
_FILLED_ENOUGH = 0.98
_SHOWN_COLUMNS = 30
_WEAK_USERS = find_roles("customer")["user_id"]
"""Rank of the names that may be those of people or their phone numbers."""


@dataclass
class ShopFile:
    """An inspected file, and what its columns contain.

    Attributes:
        path: the file.
        shape: its format and columns.
        profiles: the content of the columns that may be used, by name.
        kind: whether it is read as orders or as products; None if neither is possible.
        platform: the platform that wrote it; None if unknown.
        roles: column by role.
        alternatives: further columns by role, which were not chosen.
        statuses: columns that may contain the status of an order.
        contradictions: why columns with the names of missing roles are not used.
    """

    path: Path
    shape: FileShape
    profiles: dict[str, Profile]
    kind: FileKind | None = None
    platform: Platform | None = None
    roles: dict[Role, str] = field(default_factory=dict)
    alternatives: dict[Role, list[str]] = field(default_factory=dict)
    statuses: list[str] = field(default_factory=list)
    contradictions: list[str] = field(default_factory=list)

    @property
    def columns(self) -> list[str]:
        """Names of the columns, each once."""
        return list(dict.fromkeys(self.shape.columns))


def is_candidate(name: str, columns: Iterable[str]) -> bool:
    """Return whether the name of a column may be that of a role."""
    platform = recognise_platform(columns)
    known = platform.roles.values() if platform else ()
    return bool(find_roles(name)) or any(normalise_name(name) in names for names in known)


def map_columns(file: ShopFile, dialogue: Dialogue) -> None:
    """Find the kind and the platform of a file and the roles of its columns. Store them in it."""
    file.platform = recognise_platform(file.columns)
    candidates, contradictions = _list_candidates(file)
    chosen: dict[Role, str] = {}
    for role in _ORDER:
        free = [name for name in candidates.get(role, []) if name not in chosen.values()]
        if role == "user_id":
            name = _choose_user(file, free, dialogue)
        elif role == "item_id":
            name = _choose_item(file, free)
        else:
            name = _choose_filled(file, free)
        if name is not None:
            chosen[role] = name
            file.alternatives[role] = [other for other in free if other != name]
    _use_titles_as_ids(file, chosen, candidates, dialogue)
    file.kind = _find_kind(chosen, candidates)
    if file.kind == "orders":
        _find_order_of_rows(file, chosen, candidates, dialogue)
        if not {"timestamp", "position"} & set(chosen):
            file.kind = None
    file.roles = chosen
    file.statuses = [name for name in candidates.get("status", []) if name not in chosen.values()]
    _report_contradictions(file, contradictions, dialogue)


def _list_candidates(
    file: ShopFile,
) -> tuple[dict[Role, list[str]], list[tuple[Role, int, str, str]]]:
    """Return the columns by role, the best names first, and those whose content contradicts."""
    ranked: dict[Role, list[tuple[int, str]]] = {}
    contradictions: list[tuple[Role, int, str, str]] = []
    platform_roles = file.platform.roles if file.platform else {}
    is_review = has_reviews(file.columns)
    for name, profile in file.profiles.items():
        ranks = {
            role: rank for role, rank in find_roles(name).items() if role not in platform_roles
        }
        normalised = normalise_name(name)
        for role, names in platform_roles.items():
            if normalised in names:
                ranks[role] = names.index(normalised)
        if is_review:
            ranks.pop("title", None)
        for role, rank in ranks.items():
            contradiction = find_contradiction(role, profile)
            if contradiction is None:
                ranked.setdefault(role, []).append((rank, name))
            else:
                contradictions.append((role, rank, name, contradiction))
    candidates = {
        role: [name for _, name in sorted(found, key=lambda pair: pair[0])]
        for role, found in ranked.items()
    }
    return candidates, contradictions


def _choose_filled(file: ShopFile, names: list[str]) -> str | None:
    """Return the first column, unless another one is filled much more often."""
    highest = max((file.profiles[name].filled for name in names), default=0.0)
    return next((name for name in names if file.profiles[name].filled >= highest / 2), None)


def _choose_item(file: ShopFile, names: list[str]) -> str | None:
    """Return the first column that is filled in nearly all rows, or else the most filled one."""
    names = [name for name in names if not _is_row_number(file, name)]
    if not names:
        return None
    highest = max(names, key=lambda name: file.profiles[name].filled)
    limit = min(_FILLED_ENOUGH, file.profiles[highest].filled)
    return next(name for name in names if file.profiles[name].filled >= limit)


def _is_row_number(file: ShopFile, name: str) -> bool:
    """Return whether a column named ``id`` numbers the rows of a file of orders."""
    profile = file.profiles[name]
    has_users = any("user_id" in find_roles(other) for other in file.columns)
    return normalise_name(name) == "id" and has_users and profile.distinct == profile.values


def _choose_user(file: ShopFile, names: list[str], dialogue: Dialogue) -> str | None:
    """Return the column that identifies customers, and ask if several do."""
    names = [name for name in names if not _has_one_frequent_value(file.profiles[name])]
    name = _choose_filled(file, names)
    if name is None or file.platform is not None or _rank_user(name) >= _WEAK_USERS:
        return name
    if file.profiles[name].emails > 0.5:
        return name
    similar = [
        other
        for other in names
        if _rank_user(other) < _WEAK_USERS
        and file.profiles[other].emails < 0.5
        and abs(file.profiles[other].filled - file.profiles[name].filled) < 0.05
        and abs(file.profiles[other].distinct / file.profiles[name].distinct - 1) > 0.02
    ]
    choices = tuple(dict.fromkeys([name, *similar]))
    if len(choices) == 1:
        return name
    counts = ", ".join(f"{each} has {file.profiles[each].distinct:,} values" for each in choices)
    question = Question(
        "columns.user_id",
        f"{file.path.name}: which column identifies the customer? In the first rows, {counts}.",
        choices,
        name,
    )
    return dialogue.ask(question)


def _rank_user(name: str) -> int:
    return find_roles(name).get("user_id", 0)


def _has_one_frequent_value(profile: Profile) -> bool:
    """Return whether a single value such as 0 stands for all guests in most rows."""
    return profile.top[:1] in (["0"], ["-1"], ["guest"], ["Guest"]) and profile.distinct < 3


def _use_titles_as_ids(
    file: ShopFile,
    chosen: dict[Role, str],
    candidates: dict[Role, list[str]],
    dialogue: Dialogue,
) -> None:
    """Use the names of products as their ids if the ids are missing, and vice versa."""
    item, title = chosen.get("item_id"), chosen.get("title")
    if title is None and item is not None and item in candidates.get("title", []):
        chosen["title"] = item
        first = next(name for name in candidates["item_id"] if not _is_row_number(file, name))
        if file.profiles[first].filled < file.profiles[item].filled:
            _note_names_as_ids(file, first, item, dialogue)
        return
    if title is None:
        return
    title_filled = file.profiles[title].filled
    if item is None:
        chosen["item_id"] = title
        dialogue.unsure.append(
            f"{file.path.name}: no column has product ids. The names of the products ({title}) "
            "are used as ids."
        )
    elif file.profiles[item].filled < min(0.9, title_filled - 0.05):
        chosen["item_id"] = title
        _note_names_as_ids(file, item, title, dialogue)


def _note_names_as_ids(file: ShopFile, item: str, title: str, dialogue: Dialogue) -> None:
    dialogue.unsure.append(
        f"{file.path.name}: {item} is empty in {1 - file.profiles[item].filled:.0%} of the first "
        f"rows, so the names of the products ({title}) are used as ids."
    )


def _find_kind(chosen: dict[Role, str], candidates: dict[Role, list[str]]) -> FileKind | None:
    has_order = {"timestamp", "order_id"} & set(chosen) or "position" in candidates
    if {"user_id", "item_id"} <= set(chosen) and has_order:
        return "orders"
    if "item_id" in chosen and {"title", "url"} & set(chosen) and "order_id" not in chosen:
        return "products"
    return None


def _find_order_of_rows(
    file: ShopFile,
    chosen: dict[Role, str],
    candidates: dict[Role, list[str]],
    dialogue: Dialogue,
) -> None:
    """Choose a column of positions if there are no times."""
    if "timestamp" in chosen:
        return
    positions = [name for name in candidates.get("position", []) if name not in chosen.values()]
    if positions:
        chosen["position"] = positions[0]
    elif "order_id" in chosen and file.profiles[chosen["order_id"]].integers > 0.99:
        chosen["position"] = chosen["order_id"]
        dialogue.unsure.append(
            f"{file.path.name}: no column has times. Purchases are sorted by {chosen['order_id']}."
        )


def _report_contradictions(
    file: ShopFile, contradictions: list[tuple[Role, int, str, str]], dialogue: Dialogue
) -> None:
    """Note the columns that have the name of a role, but not its content."""
    used = set(file.roles.values())
    for role, rank, name, reason in contradictions:
        chosen = file.roles.get(role)
        is_better = chosen is None or rank < find_roles(chosen).get(role, -1)
        if is_better and name not in used and role in _ORDER[:9]:
            note = f"{name} is not used as {role}, because {reason}."
            if chosen is None and role in ("user_id", "item_id", "timestamp"):
                file.contradictions.append(note)
            if file.profiles[name].values:
                dialogue.dropped.append(f"{file.path.name}: {note}")


def describe_missing(files: Iterable[ShopFile]) -> str:
    """Return the required columns that each file lacks, for an error message."""
    lines = []
    for file in files:
        missing = [role for role in ("user_id", "item_id") if role not in file.roles]
        if "timestamp" not in file.roles and "position" not in file.roles:
            missing.append("timestamp (or position)")
        if missing:
            lines.append(f"  {file.path.name}: no column was recognised for {', '.join(missing)}")
        lines += [f"    {note}" for note in file.contradictions]
        shown = ", ".join(map(repr, file.columns[:_SHOWN_COLUMNS]))
        n_more = len(file.columns) - _SHOWN_COLUMNS
        lines.append(f"    it has the columns {shown}{f' and {n_more} more' * (n_more > 0)}")
        n_unnamed = sum(name.startswith("column ") for name in file.columns)
        if n_unnamed * 2 > len(file.columns):
            lines.append(
                "    Most columns have no name. If there are rows above the header, delete them."
            )
    return "\n".join(lines)
