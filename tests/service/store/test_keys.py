from pathlib import Path

import pytest

from bazar.errors import InputError
from bazar.service.store import KeyKind, LiveStore


@pytest.mark.parametrize("kind", ["server", "publishable"])
def test_secret_has_the_kind_of_its_key(store: LiveStore, kind: KeyKind) -> None:
    created = store.create_key(kind, "browser of the shop")
    assert store.find_key_kind(created.secret) == kind
    assert created.secret.startswith(f"bazar_{kind}_")
    # 32 random bytes in Base64.
    assert len(created.secret.removeprefix(f"bazar_{kind}_")) == 43


@pytest.mark.parametrize("forged", ["", "bazar_server_", "\x00", "\udcff", "ü" * 10_000])
def test_unknown_secret_has_no_kind(store: LiveStore, forged: str) -> None:
    secret = store.create_key("server").secret
    assert store.find_key_kind(forged) is None
    assert store.find_key_kind(secret[:-1]) is None
    assert store.find_key_kind(secret + " ") is None
    assert store.find_key_kind(secret.replace("server", "publishable")) is None


def test_revoked_key_has_no_kind(store: LiveStore) -> None:
    first, second = store.create_key("server"), store.create_key("server")
    store.revoke_key(first.key_id)
    assert store.find_key_kind(first.secret) is None
    assert store.find_key_kind(second.secret) == "server"
    revoked_at = {key.key_id: key.revoked_at for key in store.list_keys()}
    assert revoked_at[first.key_id] is not None
    assert revoked_at[second.key_id] is None
    store.revoke_key(first.key_id)
    assert {key.key_id: key.revoked_at for key in store.list_keys()} == revoked_at


def test_keys_are_listed_without_their_secrets(store: LiveStore) -> None:
    created = store.create_key("publishable", "browser")
    (listed,) = store.list_keys()
    assert (listed.key_id, listed.kind, listed.note) == (created.key_id, "publishable", "browser")
    assert created.secret not in repr(listed) + repr(created)


def test_secret_is_not_in_the_file(tmp_path: Path) -> None:
    store = LiveStore(f"sqlite:///{tmp_path}/live.db")
    secret = store.create_key("server", "findable note").secret
    store.close()
    content = (tmp_path / "live.db").read_bytes()
    assert b"findable note" in content
    assert secret.encode() not in content
    assert secret.removeprefix("bazar_server_").encode() not in content


def test_invalid_keys_are_input_errors(store: LiveStore) -> None:
    with pytest.raises(InputError, match="must be server or publishable, got 'admin'"):
        store.create_key("admin")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="note must have at most 200 characters"):
        store.create_key("server", "n" * 201)
    with pytest.raises(InputError, match="no key with the id 'unknown'"):
        store.revoke_key("unknown")
    assert store.list_keys() == []
