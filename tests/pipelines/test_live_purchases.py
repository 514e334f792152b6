"""Purchases and deletions of the online service, from the store through a training to the answers.

The commands are real. Only baselines are in the bundle, so that a run takes seconds.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest
import yaml

from bazar.data.title_embeddings import EMPTY_TITLE_VECTORS, PACKAGED_ENCODER, find_encoder
from bazar.service.store import EventRecord, LiveStore
from bazar.service.training_export import export_for_training
from bazar.serving.bundle import Bundle, find_bundle, read_bundle
from bazar.serving.recommender import Recommender
from tests.project import copy_project, kedro_here

LIVE = {
    "files": "live/live_purchases_*.parquet",
    "optional": True,
    "columns": {
        "user_id": "user_id", "item_id": "item_id", "timestamp": "timestamp",
        "order_id": "order_id", "quantity": "quantity", "price": "price",
    },
    "timestamp_format": "ms",
}  # fmt: skip
GLOBALS = {
    "dataset": "shop",
    "raw_dir": "data/01_raw/shop",
    "split": "leave_one_out",
    "interactions": {
        "orders": {
            "files": "orders.csv",
            "columns": {
                "user_id": "customer", "item_id": "sku", "timestamp": "time", "quantity": "n",
            },
        },
        "live": LIVE,
    },
    "products": {"orders": {"files": "orders.csv", "columns": {"item_id": "sku", "title": "name"}}},
}  # fmt: skip
PARAMETERS = {
    "recommendation": {"models": ["personal_frequency", "decayed_cooccurrence"]},
    # One row of a small file may be malformed.
    "ingestion": {"max_reject_share": 0.5},
}
PIPELINES = "ingestion,joining,sequencing,embedding,recommendation"
START = 1_704_067_200_000
"""2024-01-01."""
DAY = 86_400_000
LEAVING, RETURNING, NEW = "leaving-customer", "returning-customer", "new-customer"
HISTORIES = {"c1": "ABC", "c2": "BCA", "c3": "CABD", LEAVING: "ABDE", RETURNING: "BDE"}


class Shop:
    """A shop with a project, the database of its service, and its own export of orders."""

    def __init__(self, folder: Path) -> None:
        self.project = copy_project(folder)
        self.raw = self.project / "data/01_raw/shop"
        self.raw.mkdir()
        lines = ["customer,sku,name,time,n"]
        for user, items in HISTORIES.items():
            lines += [
                f"{user},{item},Title {item},2024-01-{day:02d},1"
                for day, item in enumerate(items, start=1)
            ]
            lines.append(f"{user},A,Title A,2024-01-09,many")
        (self.raw / "orders.csv").write_text("\n".join(lines))
        environment = self.project / "conf" / "shop"
        environment.mkdir()
        for name, content in (("globals", GLOBALS), ("parameters", PARAMETERS)):
            (environment / f"{name}.yml").write_text(yaml.safe_dump(content, sort_keys=False))
        self._write_title_vectors()
        self.store = LiveStore(f"sqlite:///{self.project}/live.db")

    def _write_title_vectors(self) -> None:
        """Write the vectors of an earlier run, because loading the encoder takes a long time."""
        encoder = find_encoder(PACKAGED_ENCODER, None).identity
        rows = [
            {"encoder": encoder, "text": f"Title {item}", "vector": vector}
            for item, vector in zip("ABCDE", np.eye(5, 384), strict=True)
        ]
        path = self.project / "data/04_feature/shop/title_vectors.parquet"
        path.parent.mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(rows, EMPTY_TITLE_VECTORS.schema), path)

    def buy(self, user: str, items: str, day: int, **values: Any) -> None:
        """Send a purchase of each item to the service, all on one day of 2024."""
        first = self.store.newest_sequence()
        records = [
            EventRecord(**{
                "event_id": f"{user} {day} {item}", "event_type": "purchase", "item_id": item,
                "user_id": user, "received_at": START + day * DAY + first + number,
            } | values)
            for number, item in enumerate(items)
        ]  # fmt: skip
        assert set(self.store.insert_events(records)) == {"new"}

    def export(self) -> int:
        """Export for the next training, and return the last sequence."""
        return export_for_training(self.store, self.raw / "live").last_sequence

    def train(self) -> None:
        run = kedro_here(self.project, "run", "--env", "shop", "--pipelines", PIPELINES)
        assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]

    def load(self) -> Bundle:
        """Return the current bundle."""
        return read_bundle(find_bundle(self.project / "data/06_models/shop"))

    def list_purchases(self, user: str) -> str:
        """Return what a user bought: in the bundle, and later in the store."""
        bundle = self.load()
        recommender = Recommender(bundle)
        known = recommender.history(user) if recommender.has_customer(user) else []
        live = self.store.read_events(user, after_sequence=bundle.options.live_sequence)
        bought = [event.item_id for event in live if event.event_type == "purchase"]
        return "".join(known) + "+" + "".join(bought)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    opened = Shop(tmp_path_factory.mktemp("shop"))
    yield opened
    opened.store.close()


def find_texts(path: Path) -> str:
    """Return the content of a file as text, with that of its compressed tables."""
    if path.suffix == ".parquet":
        return str(pq.ParquetFile(path).read().to_pylist())
    if path.suffix == ".arrow":
        return str(pa.ipc.open_file(pa.memory_map(str(path))).read_all().to_pylist())
    return path.read_bytes().decode(errors="replace")


def list_files_with(project: Path, text: str) -> list[str]:
    """Return the results of runs that contain a text."""
    return [
        str(path.relative_to(project / "data"))
        for path in sorted((project / "data").rglob("*"))
        if path.is_file() and "01_raw" not in path.parts and text in find_texts(path)
    ]


# The tests follow one another: each is a night in the life of the shop.


def test_first_training_has_no_live_purchases(shop: Shop) -> None:
    shop.train()
    assert shop.load().options.live_sequence == 0
    shop.buy("c1", "D", day=20)
    shop.buy(NEW, "AE", day=20)
    shop.buy(LEAVING, "C", day=20)
    shop.buy(RETURNING, "C", day=20)
    shop.buy("c1", "E", day=20, event_type="view")
    # All of them are live.
    assert shop.list_purchases("c1") == "ABC+D"
    assert shop.list_purchases(NEW) == "+AE"
    assert list_files_with(shop.project, LEAVING) != []


def test_each_purchase_counts_once_after_a_training(shop: Shop) -> None:
    exported = shop.export()
    # Between the export and the training, and from then on, these are live.
    shop.buy("c1", "E", day=21)
    shop.buy(NEW, "B", day=21)
    shop.train()
    assert shop.load().options.live_sequence == exported == 6
    assert shop.list_purchases("c1") == "ABCD+E"
    # A view is not exported. It stays live.
    live = shop.store.read_events("c1", after_sequence=exported)
    assert [event.event_type for event in live] == ["view", "purchase"]
    assert shop.list_purchases(NEW) == "AE+B"
    assert shop.list_purchases("c2") == "BCA+"


def test_deleted_users_are_gone_after_the_next_training(shop: Shop) -> None:
    orders = (shop.raw / "orders.csv").read_bytes()
    shop.buy(LEAVING, "A", day=22)
    shop.store.delete_user(LEAVING, START + 23 * DAY)
    shop.store.delete_user(RETURNING, START + 23 * DAY)
    # A deleted user who buys again is a new customer.
    shop.buy(RETURNING, "AC", day=24)
    exported = shop.export()
    shop.train()
    # The shop's own export still has the orders.
    assert LEAVING in orders.decode()
    assert (shop.raw / "orders.csv").read_bytes() == orders
    assert shop.load().options.live_sequence == exported
    assert not Recommender(shop.load()).has_customer(LEAVING)
    assert list_files_with(shop.project, LEAVING) == []
    assert [
        path.name for path in (shop.raw / "live").iterdir() if LEAVING in find_texts(path)
    ] == []
    assert shop.list_purchases(RETURNING) == "AC+"
    # What was live in the last night is in the bundle now.
    assert shop.list_purchases("c1") == "ABCDE+"
    assert shop.list_purchases(NEW) == "AEB+"
    rejects = pq.read_table(shop.project / "data/02_intermediate/shop/rejects.parquet").to_pylist()
    deleted = [row for row in rejects if row["reason"] == "deleted customer"]
    # All orders of both in the shop's export, and the malformed ones.
    assert [
        (row["source_file"], row["kind"], row["count"], row["examples"]) for row in deleted
    ] == [("orders.csv", "excluded", 9, [])]


def test_a_missing_file_of_live_purchases_stops_the_run(shop: Shop) -> None:
    (file, *_) = sorted((shop.raw / "live").glob("live_purchases_*"))
    file.rename(shop.project / file.name)
    run = kedro_here(shop.project, "run", "--env", "shop", "--pipelines", "ingestion")
    assert run.returncode != 0
    assert "The live purchases 1 to 6 are missing" in run.stderr
    (shop.project / file.name).rename(file)
