"""Exclude the purchases of users who were deleted."""

from dataclasses import dataclass, field

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from bazar.ingestion.cache import cache_table
from bazar.ingestion.live_files import DELETED_USERS_SCHEMA
from bazar.ingestion.times import IMPOSSIBLE

DELETED_CUSTOMER = "deleted customer"


@dataclass(frozen=True)
class RawInteractions:
    """Raw interactions, and the users whose interactions are left out.

    Attributes:
        tables: the raw table of each source.
        deleted_users: columns of :data:`bazar.ingestion.live_files.DELETED_USERS_SCHEMA`.
    """

    tables: dict[str, ir.Table]
    deleted_users: pa.Table = field(default_factory=DELETED_USERS_SCHEMA.empty_table)


def mark_deleted_users(typed: ir.Table, deleted_users: pa.Table) -> ir.Table:
    """Exclude the rows of deleted users up to their deletion.

    Rows without a valid timestamp are excluded as well. Later rows are those of a new customer.

    Args:
        typed: ``user_id, timestamp, reason, is_excluded, raw`` and other columns.
        deleted_users: columns of :data:`bazar.ingestion.live_files.DELETED_USERS_SCHEMA`.

    Returns:
        The table with the reason ``deleted customer`` for these rows, also if they had another
        one. Their ``raw`` is null, so that no record of a deleted user is shown.
    """
    if deleted_users.num_rows == 0:
        return typed
    times = ibis.memtable(deleted_users)
    times = times.group_by("user_hash").aggregate(deleted_at=times.deleted_at.max())
    users = typed.select("user_id").distinct()
    users = users.mutate(user_hash=users.user_id.hexdigest("sha256"))
    deleted = cache_table(users.inner_join(times, "user_hash").select("user_id", "deleted_at"))
    columns = typed.columns
    marked = typed.left_join(deleted, "user_id").select(*columns, "deleted_at")
    has_no_time = marked.timestamp.isnull() | (marked.reason == IMPOSSIBLE).fill_null(False)
    is_before = (marked.timestamp <= marked.deleted_at).fill_null(False)
    is_deleted = marked.deleted_at.notnull() & (has_no_time | is_before)
    return marked.mutate(
        reason=is_deleted.ifelse(DELETED_CUSTOMER, marked.reason),
        is_excluded=is_deleted | marked.is_excluded,
        raw=is_deleted.ifelse(ibis.null("string"), marked.raw),
    ).drop("deleted_at")
