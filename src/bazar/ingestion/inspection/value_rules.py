"""Find the formats of the numbers, times and ids in a file of orders."""

import re
from collections.abc import Iterable
from zoneinfo import ZoneInfo

import ibis

from bazar.config.sources import TIME_UNITS, Normalisation
from bazar.errors import InputError
from bazar.ingestion.ids import read_id
from bazar.ingestion.inspection.dialogue import Dialogue, Question
from bazar.ingestion.inspection.header_names import names_utc
from bazar.ingestion.inspection.mapping import ShopFile
from bazar.ingestion.inspection.records import Records
from bazar.ingestion.inspection.row_rules import Rules
from bazar.ingestion.time_detection import (
    AmbiguousTimesError,
    UnknownTimesError,
    detect_time_format,
)
from bazar.ingestion.time_formats import ZONE_OFFSETS

_HAS_OFFSET = (
    "(?i)(:[0-9][0-9]|T[0-9]+)([.,][0-9]+)?( ?[ap]m)? ?"
    f"(z|utc|gmt|{'|'.join(ZONE_OFFSETS)}|[+-][0-9][0-9](:?[0-9][0-9])?)$"
)
_HAS_CLOCK = "[0-9]:[0-9][0-9]|[0-9]T[0-9]+$"
_WHOLE = r"^[+-]?[0-9]+\.0+$"
_INVISIBLE = (
    r"^[\x{A0}\x{2000}-\x{200B}\x{202F}\x{FEFF}]|[\x{A0}\x{2000}-\x{200B}\x{202F}\x{FEFF}]$"
)
_GUEST_IDS = ("0", "-1", "guest", "anonymous", "unknown", "gast", "invitado", "invité", "convidado")


def find_decimal(file: ShopFile, rules: Rules) -> None:
    """Find the decimal sign of quantities, prices and ratings."""
    roles = [role for role in ("quantity", "price", "rating") if role in file.roles]
    profiles = [file.profiles[file.roles[role]] for role in roles]
    commas = sum(profile.decimal_commas * profile.distinct for profile in profiles)
    points = sum(profile.decimal_points * profile.distinct for profile in profiles)
    if commas > points:
        profile = max(profiles, key=lambda profile: profile.decimal_commas)
        example = next((text for text in profile.top if "," in text), profile.top[0])
        rules.add("decimal", ",", f"{profile.name} has values such as {example}.")


def find_times(
    file: ShopFile, records: Records, rules: Rules, dialogue: Dialogue, now_ms: int, setting: str
) -> None:
    """Find the format of the times and their zone.

    Raises:
        InputError: if the format is unknown.
    """
    column = file.roles.get("timestamp")
    if column is None:
        return
    try:
        found = detect_time_format(records.table, records.keys[column], now_ms, setting)
    except AmbiguousTimesError as error:
        found = _ask_format(file, error, dialogue)
    except UnknownTimesError as error:
        raise InputError(
            f"{file.path.name}: the format of the times in {column} is unknown, for example "
            f"{error.examples}.\nWrite conf/NAME/globals.yml by hand, and set timestamp_format to "
            'the format of the times, such as "%d.%m.%Y %H:%M". If the column has no times, rename '
            "it, so that another one is used."
        ) from None
    example = file.profiles[column].examples[0]
    rules.add("timestamp_format", found, f"Times such as {example}.")
    n_times = records.count("{column} IS NOT NULL", column=column)
    if found in TIME_UNITS or n_times == 0:
        return
    is_local = f"{{column}} IS NOT NULL AND NOT regexp_matches({{column}}, '{_HAS_OFFSET}')"
    if found != "excel" and records.count(is_local, column=column) <= 0.01 * n_times:
        return
    is_utc = names_utc(column) or (file.platform is not None and file.platform.is_utc)
    if is_utc:
        rules.add("timezone", "UTC", f"{column} is in UTC in such exports.")
        return
    has_clock = f"regexp_matches({{column}}, '{_HAS_CLOCK}')"
    if found != "excel" and not records.count(has_clock, column=column):
        return
    question = Question(
        "timezone",
        f"{file.path.name}: in which time zone are the times in {column}, such as {example}? For "
        "example UTC or Europe/London.",
        default="UTC",
        check=_check_zone,
    )
    zone = dialogue.ask(question)
    rules.add(
        "timezone", zone, f"{column} has no offset from UTC, so the file does not show the zone."
    )


def _ask_format(file: ShopFile, error: AmbiguousTimesError, dialogue: Dialogue) -> str:
    """Ask which of several formats is right."""
    formats = error.formats
    # In all of them, the first part has the same digits.
    firsts = {"d": "day", "m": "month", "y": "year", "Y": "year"}
    choices = {
        firsts[found.group(1)]: time_format
        for time_format in formats
        if (found := re.search("%([dmyY])", time_format))
    }
    if len(choices) < len(formats):
        choices = {time_format: time_format for time_format in formats}
    question = Question(
        "timestamp_format",
        f"{file.path.name}: the times do not show whether they begin with the "
        f"{' or the '.join(choices)}, for example {error.example!r}. Which one comes first?",
        tuple(choices),
    )
    return choices[dialogue.ask(question)]


def _check_zone(zone: str) -> None:
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        raise ValueError(
            f"{zone!r} is not a time zone. Use a name such as UTC or Europe/London"
        ) from None


def find_guests(file: ShopFile, records: Records, rules: Rules, dialogue: Dialogue) -> None:
    """Count the rows without a user id, and exclude ids that all guests share."""
    column = file.roles["user_id"]
    total = records.count()
    counts = records.count_values(column)
    shared = {
        value: count
        for value, count in counts.items()
        if value.casefold() in _GUEST_IDS and count > max(0.005 * total, 5)
    }
    if shared:
        n_rows = sum(shared.values())
        listed = " and ".join(repr(value) for value in shared)
        rules.add_condition(
            column, {"not_in": list(shared)}, f"{n_rows:,} rows of guests have the id {listed}."
        )
    missing = records.table.filter(read_id(records.table[records.keys[column]], []).isnull())
    n_missing = missing.count().to_pyarrow().as_py()
    if n_missing:
        sessions = (
            " With sessions, their orders are used for training."
            if "order_id" in file.roles
            else ""
        )
        rules.add(
            "guests",
            "exclude",
            f"{n_missing:,} of {total:,} rows ({n_missing / total:.1%}) have no customer."
            f"{sessions}",
        )
    session = file.roles.get("session")
    if n_missing and session is not None and "order_id" not in file.roles:
        dialogue.unsure.append(
            f"{session} groups the rows of a visit. To use the purchases of guests, map order_id "
            f"to {session}, and set guests: sessions."
        )
    emails = [
        name for name in file.alternatives.get("user_id", []) if file.profiles[name].emails > 0.9
    ]
    if n_missing and emails and file.profiles[emails[0]].filled > file.profiles[column].filled:
        dialogue.unsure.append(
            f"Guests have a value in {emails[0]} as well. To use their orders, map user_id to it."
        )
    frequent = next(
        ((value, count) for value, count in counts.items() if value not in shared), None
    )
    if frequent and frequent[1] > 0.2 * total and len(counts) > 20:
        dialogue.unsure.append(
            f"Customer {frequent[0]} has {frequent[1] / total:.0%} of the rows. If this is not one "
            f"person, exclude it: where: {{{column}: {{not_in: [...]}}}}."
        )


def find_id_steps(
    sources: Iterable[tuple[Records, str]],
) -> tuple[list[Normalisation], str]:
    """Find the steps that unify the forms of ids.

    Args:
        sources: records, and the column of the ids.

    Returns:
        The steps, and why they are needed.
    """
    columns = [(records, column) for records, column in sources]
    steps: list[Normalisation] = []
    reasons = []
    if example := _find_example(columns, _INVISIBLE):
        steps.append("strip")
        reasons.append(
            f"Some ids have no-break or zero-width spaces around them, such as {example!r}."
        )
    if example := _find_example(columns, _WHOLE):
        steps.append("integer_like")
        reasons.append(f"Whole numbers are written with decimals, such as {example}.")
    n_groups, example = _count_case_forms(columns, steps)
    if n_groups:
        steps.append("lower" if "@" in example else "upper")
        reasons.append(f"{n_groups:,} ids differ only in case, such as {example}.")
    return steps, " ".join(reasons)


def _find_example(columns: list[tuple[Records, str]], pattern: str) -> str | None:
    """Return an id that matches a pattern."""
    for records, column in columns:
        sql = "SELECT {column} FROM {records} WHERE regexp_matches({column}, $1) LIMIT 1"
        if rows := records.query(sql, [pattern], column=column):
            return str(rows[0][0])
    return None


def _count_case_forms(
    columns: list[tuple[Records, str]], steps: list[Normalisation]
) -> tuple[int, str]:
    """Count the ids that differ only in case after the steps.

    Returns:
        The number of groups, and an example such as ``85123A / 85123a``.
    """
    distinct = [
        read_id(records.table[records.keys[column]], steps).name("id").as_table().distinct()
        for records, column in columns
    ]
    ids = ibis.union(*distinct, distinct=True) if len(distinct) > 1 else distinct[0]
    ids = ids.filter(ids.id.notnull()).mutate(lower=ids.id.lower())
    groups = ids.group_by("lower").aggregate(n=ids.count(), first=ids.id.min(), last=ids.id.max())
    groups = groups.filter(groups.n > 1)
    n_groups = groups.count().to_pyarrow().as_py()
    rows = groups.order_by("lower").limit(1).to_pyarrow().to_pylist()
    return n_groups, f"{rows[0]['first']} / {rows[0]['last']}" if rows else ""
