"""The store: events, changes of the catalogue, deleted users and API keys in an SQL database."""

from bazar.service.store.catalogue import Changes, ItemChange
from bazar.service.store.deletions import Receipt, Tombstone, hash_user_id
from bazar.service.store.events import EventRecord, Outcome
from bazar.service.store.failures import StoreError
from bazar.service.store.keys import ApiKey, CreatedKey, KeyKind
from bazar.service.store.live_store import LiveStore

__all__ = [
    "ApiKey",
    "Changes",
    "CreatedKey",
    "EventRecord",
    "ItemChange",
    "KeyKind",
    "LiveStore",
    "Outcome",
    "Receipt",
    "StoreError",
    "Tombstone",
    "hash_user_id",
]
