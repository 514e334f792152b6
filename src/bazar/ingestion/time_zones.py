"""Convert local times to UTC, with equal results on all engines.

DuckDB and Spark have time zone functions, but with different versions of the time zone database,
and different rules where the clock is changed. Therefore the changes of a zone are taken from
Python, and the conversion is a case expression.
"""

from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import ibis
import ibis.expr.types as ir

from bazar.ingestion.parsing import bind

_FIRST_YEAR = 1990
"""Earlier times get the zone's offset at the start of this year."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STEP = timedelta(days=1)
_SECOND = timedelta(seconds=1)


def convert_to_utc(local: ir.IntegerValue, zone: str) -> ir.IntegerValue:
    """Convert local times to UTC.

    A time that occurs twice, because the clock is set back, is the first of the two. A time that
    does not exist, because the clock is set forward, is shifted forward by the change. Both are
    as in Python with ``fold=0``.

    Args:
        local: milliseconds since 1970-01-01 00:00 of the local clock.
        zone: name of the time zone in the IANA database, such as ``Europe/London``.

    Returns:
        UTC milliseconds (int64).
    """
    first_offset, changes = list_changes(zone, datetime.now(UTC).year + 1)
    if not changes:
        return local - first_offset if first_offset else local
    # Most purchases are recent, and the first true branch ends the search.
    latest_first = changes[::-1]

    def subtract_offset(time: ir.IntegerValue) -> ir.IntegerValue:
        branches = ((time >= start, offset) for start, offset in latest_first)
        return time - ibis.cases(*branches, else_=first_offset)

    return bind(local, subtract_offset)


@cache
def list_changes(zone: str, last_year: int) -> tuple[int, tuple[tuple[int, int], ...]]:
    """List the changes of a zone's offset from UTC, from 1990 to the end of ``last_year``.

    Returns:
        The offset in 1990, and for each change: the local time from which on the new offset is
        used, and the new offset. All in milliseconds.
    """
    rules = ZoneInfo(zone)
    moment = datetime(_FIRST_YEAR, 1, 1, tzinfo=UTC)
    end = datetime(last_year + 1, 1, 1, tzinfo=UTC)
    first_offset = offset = _get_offset(rules, moment)
    changes = []
    while moment < end:
        if _get_offset(rules, moment + _STEP) == offset:
            moment += _STEP
            continue
        before, moment = moment, moment + _STEP
        while moment - before > _SECOND:
            middle = before + (moment - before) // _SECOND // 2 * _SECOND
            if _get_offset(rules, middle) == offset:
                before = middle
            else:
                moment = middle
        new_offset = _get_offset(rules, moment)
        # The later of the two local times: until then, the old offset is used.
        start = (moment - _EPOCH) // timedelta(milliseconds=1) + max(offset, new_offset)
        changes.append((start, new_offset))
        offset = new_offset
    return first_offset, tuple(changes)


def _get_offset(rules: ZoneInfo, moment: datetime) -> int:
    """Return the offset from UTC in milliseconds."""
    offset = moment.astimezone(rules).utcoffset()
    assert offset is not None
    return offset // timedelta(milliseconds=1)
