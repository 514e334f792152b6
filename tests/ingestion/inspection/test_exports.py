"""Every export of a platform is mapped correctly, and nothing is asked that it answers."""

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bazar.config.sources import InteractionSource, ProductSource
from bazar.data.suspicious import find_suspicious_items
from bazar.ingestion.inspection.dialogue import Dialogue, Question
from bazar.ingestion.inspection.preview import type_source
from bazar.ingestion.inspection.proposal import propose_sources
from bazar.ingestion.inspection.records import open_workspace
from bazar.ingestion.inspection.sources import Proposal
from tests.ingestion.exports import EXPORTS
from tests.ingestion.shop import Export, Purchase

NOW_MS = int(time.time() * 1000)
WITH_OFFSET = {"shopify", "amazon", "amazon_orders", "amazon_shipments", "rees46", "json_array"}


@dataclass
class Inspected:
    export: Export
    proposal: Proposal
    asked: list[Question]


@pytest.fixture(scope="module", params=EXPORTS)
def inspected(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Inspected]:
    export = EXPORTS[request.param](tmp_path_factory.mktemp(request.param))
    asked: list[Question] = []

    def answer(question: Question) -> str:
        asked.append(question)
        assert question.default is not None, question.text
        return question.default

    with open_workspace() as connection:
        proposal = propose_sources(
            export.paths, connection, Dialogue(answer), find_suspicious_items, NOW_MS
        )
        yield Inspected(export, proposal, asked)


def test_columns_are_mapped(inspected: Inspected) -> None:
    expected = inspected.export.expected
    [orders] = inspected.proposal.interactions
    assert orders.rules.keys["columns"] == expected.columns
    titles = [source.rules.keys["columns"]["title"] for source in inspected.proposal.products]
    assert titles == ([expected.title] if expected.title else [])


def test_the_rules_keep_the_purchases_and_no_other_row(inspected: Inspected) -> None:
    expected = inspected.export.expected
    typed = type_source(inspected.proposal.interactions[0], NOW_MS)
    purchases = typed.filter(typed.reason.isnull() & (typed.event_type == "purchase"))
    rows = purchases.order_by("source_order").select(*Purchase._fields).to_pyarrow().to_pylist()
    assert [Purchase(**row) for row in rows] == expected.purchases
    assert (
        typed.filter(typed.reason.notnull() & ~typed.is_excluded).count().to_pyarrow().as_py() == 0
    )


def test_nothing_is_asked_that_the_file_answers(inspected: Inspected) -> None:
    expected = inspected.export.expected
    asked = Counter(question.key for question in inspected.asked)
    del asked["timezone"]
    assert not asked
    is_answered = inspected.export.name in WITH_OFFSET or expected.timestamp_format in (
        "s",
        "ms",
        "us",
        "ns",
    )
    assert not (is_answered and inspected.asked)


def test_the_sources_are_valid(inspected: Inspected) -> None:
    sources = inspected.proposal.to_sources()
    expected = inspected.export.expected
    [orders] = map(InteractionSource.model_validate, sources["interactions"].values())
    for products in map(ProductSource.model_validate, sources["products"].values()):
        assert products.patterns == orders.patterns
    assert orders.decimal == expected.decimal
    files = [Path(inspected.proposal.raw_dir, name) for name in orders.patterns]
    assert files == inspected.export.paths
