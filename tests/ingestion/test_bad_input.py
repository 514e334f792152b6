"""Every kind of malformed input is handled as documented.

The names of the cases are the first column of the tables in docs/reference/bad-input.md.
"""

import gzip
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ibis.expr.types as ir
import pytest

from bazar.config.data import IngestionOptions, JoiningOptions
from bazar.data.catalogue import ADDED_PRODUCTS_SCHEMA
from bazar.datasets.raw import RawDataset
from bazar.errors import InputError
from bazar.ingestion.deleted_users import RawInteractions
from bazar.pipelines.ingestion.nodes import ingest_raw_files
from bazar.pipelines.joining.nodes import join_titles
from bazar.pipelines.sequencing.nodes import index_items, order_sequences
from tests.ingestion.test_bad_rows import CASES as ROW_CASES
from tests.project import ROOT

CONNECTION = {"backend": "duckdb", "database": ":memory:"}
TIME = 1_600_000_000_000
JSON_SOURCES = {
    "interactions": {
        "orders": {
            "files": "orders*.jsonl*",
            "format": "jsonl",
            "columns": {
                "user_id": "user",
                "item_id": "item",
                "timestamp": "time",
                "rating": "stars",
            },
            "timestamp_format": "ms",
        }
    },
    "products": {
        "catalogue": {
            "files": "products.jsonl",
            "format": "jsonl",
            "columns": {"item_id": "item", "title": "title"},
        }
    },
}
CSV = {"files": "orders*.csv*", "format": "csv"}
CSV_SOURCES = JSON_SOURCES | {
    "interactions": {"orders": JSON_SOURCES["interactions"]["orders"] | CSV}
}
TITLES = b"".join(
    json.dumps({"item": item, "title": f"Title of {item}"}).encode() + b"\n" for item in "ab"
)


@dataclass
class Prepared:
    """The tables that the pipelines make of the files."""

    interactions: list[dict[str, Any]]
    products: dict[str, str | None]
    rejects: dict[str, int]
    counts: dict[str, tuple[int, int, int]]
    coverage: dict[str, dict[str, Any]]
    sequences: list[dict[str, Any]] = field(default_factory=list)
    attributes: dict[str, str | None] = field(default_factory=dict)


def prepare(
    folder: Path,
    files: dict[str, bytes],
    sources: dict[str, Any] = JSON_SOURCES,
    keep_users: Any = "all",
    title_choice: Any = "first",
    **limits: int,
) -> Prepared:
    """Write the files, and run the nodes that read, join and order them."""
    for name, content in ({"products.jsonl": TITLES} | files).items():
        (folder / name).write_bytes(content)
    options = IngestionOptions(**sources, max_reject_share=1.0)
    raw = {
        kind: RawDataset(
            path=str(folder),
            sources=sources[kind],
            kind=kind,  # type: ignore[arg-type]
            connection=CONNECTION,
            **({"max_rows": 10**9, "max_bytes": 10**12} | limits),
        )
        for kind in ("interactions", "products")
    }
    try:
        orders, catalogue = (raw[kind].load() for kind in ("interactions", "products"))
    except Exception as error:
        if isinstance(error.__cause__, InputError):
            raise error.__cause__ from None
        raise
    ingested, _ = ingest_raw_files(RawInteractions(orders), catalogue, options)
    # Users with one purchase are kept, so that each case needs only one purchase.
    joining = JoiningOptions.model_construct(
        min_interactions=1,
        keep_users=keep_users,
        title_choice=title_choice,
        keep_unsold_products=True,
    )
    interactions, listed, joined = join_titles(
        ingested, ADDED_PRODUCTS_SCHEMA.empty_table(), joining
    )
    sequences = order_sequences(interactions, index_items(listed))
    return Prepared(
        list_rows(interactions),
        {row["item_id"]: row["title"] for row in list_rows(listed)},
        {row["reason"]: row["count"] for row in list_rows(ingested["rejects"])},
        {
            row["source_file"]: (row["rows_read"], row["rows_kept"], row["rows_rejected"])
            for row in list_rows(ingested["counts"])
        },
        {row["title_source"]: row for row in list_rows(joined["title_coverage"])},
        list_rows(sequences.order_by("user_id", "position")),
        {row["item_id"]: row["attributes"] for row in list_rows(listed)},
    )


def list_rows(table: ir.Table) -> list[dict[str, Any]]:
    return table.to_pyarrow().to_pylist()


def line(**fields: Any) -> bytes:
    """Return a valid line with the given changes."""
    valid = {"user": "u", "item": "a", "time": TIME, "stars": 5}
    return json.dumps(valid | fields, ensure_ascii=False).encode(errors="surrogateescape") + b"\n"


VALID = line() + line(item="b", time=TIME + 1)
CSV_ROWS = b"user,item,time,stars\nu,a,%d,5\nu,b,%d,5\n" % (TIME, TIME + 1)


@dataclass(frozen=True)
class Case:
    """Malformed input next to two valid rows: the number of kept rows, or the error message."""

    content: bytes
    kept: int = 2
    rejects: dict[str, int] = field(default_factory=dict)
    error: str = ""
    name: str = "orders.jsonl"
    check: Callable[[Prepared], bool] = lambda _: True
    limits: dict[str, int] = field(default_factory=dict)


COMPRESSED = gzip.compress(VALID * 1000)
CASES = {
    "broken JSON, or a lone surrogate in it": Case(
        VALID + b'{"user": "cut\n' + b'{"user": "\\ud800", "item": "a", "time": 1}\n' + b"words",
        rejects={"broken JSON": 3},
    ),
    "a line that is not a JSON object": Case(
        VALID + b"[1, 2]\n7\n", rejects={"not a JSON object": 2}
    ),
    "a blank line": Case(
        b"\n \n" + VALID + b"\t\n",
        check=lambda found: found.counts["orders.jsonl"] == (2, 2, 0),
    ),
    "a byte order mark": Case(b"\xef\xbb\xbf" + VALID),
    "lines that end in CRLF": Case(VALID.replace(b"\n", b"\r\n")),
    "not UTF-8": Case(
        VALID + line(user="café") + line(user="caf\udce9"), kept=3, rejects={"not UTF-8": 1}
    ),
    "a line of 20 MB": Case(VALID + line(user="v", note="x" * 20_000_000), kept=3),
    "a line of more than 32 MB": Case(
        VALID + line(note="x" * 34_000_000),
        error="orders.jsonl, line 3: the line is longer than 32 MB",
    ),
    "a rating of NaN or 1e400": Case(
        VALID
        + line(user="v", stars="X").replace(b'"X"', b"NaN")
        + line(user="w", stars="X").replace(b'"X"', b"1e400"),
        kept=4,
        check=lambda found: [row["rating"] for row in found.interactions] == [5, 5, None, None],
    ),
    "a timestamp of NaN or 1e400, or one that is not a number": Case(
        VALID
        + line(time="X").replace(b'"X"', b"NaN")
        + line(time="X").replace(b'"X"', b"1e400")
        + line(time="yesterday"),
        rejects={"timestamp is not a time": 2, "missing timestamp": 1},
    ),
    "a repeated key in an object": Case(
        VALID + b'{"user": "v", "user": "w", "item": "a", "time": %d}\n' % TIME,
        kept=3,
        check=lambda found: found.interactions[-1]["user_id"] == "v",
    ),
    "100,000 nested brackets": Case(
        VALID + line(user="v", note="X").replace(b'"X"', b"[" * 100_000 + b"]" * 100_000), kept=3
    ),
    "a truncated gzip file": Case(
        COMPRESSED[:-20], name="orders.jsonl.gz", error="is truncated (incomplete gzip stream)"
    ),
    "an empty file, or an empty gzip file": Case(
        gzip.compress(b""), name="orders.jsonl.gz", error="is empty"
    ),
    "a gzip file of several members": Case(
        gzip.compress(line()) + gzip.compress(line(item="b")), name="orders.jsonl.gz"
    ),
    "gzip without .gz, or .gz without gzip": Case(gzip.compress(VALID), name="orders.jsonl"),
    "a file that is too large after decompression": Case(
        gzip.compress(line(note=" " * 1000) * 2000),
        name="orders.jsonl.gz",
        limits={"max_bytes": 1_000_000},
        error="more than 1,000,000 bytes after decompression",
    ),
    "a file with too many rows": Case(
        VALID * 600, limits={"max_rows": 1000}, error="more than 1,000 rows"
    ),
    "a zip archive": Case(b"PK\x03\x04" + VALID, error="is a zip archive. Extract it"),
    "a column that is missing or was renamed": Case(
        VALID.replace(b'"item"', b'"sku"'),
        error="has no column 'item'. Available: 'user', 'sku', 'time', 'stars'.\n"
        "Set interactions.orders.columns.item_id",
    ),
    "a key that is missing in some lines": Case(
        VALID + b'{"user": "u", "time": %d}\n' % TIME, rejects={"missing item_id": 1}
    ),
    "columns that are not mapped": Case(VALID + line(user="v", other={"a": [1]}), kept=3),
    "a delimiter at the end of every line": Case(
        CSV_ROWS.replace(b"\n", b",\n"), name="orders.csv"
    ),
    "a line break within quotes": Case(
        CSV_ROWS + b'"v\nw",a,%d,5\n' % TIME,
        name="orders.csv",
        kept=3,
        check=lambda found: found.interactions[-1]["user_id"] == "v\nw",
    ),
    "a CSV line with too few or too many columns": Case(
        CSV_ROWS + b"u\nu,a,1,5,6\n", name="orders.csv", rejects={"wrong number of columns": 2}
    ),
    "a CSV line with text next to its quotes": Case(
        CSV_ROWS + b'"u"v,a,1,5\n', name="orders.csv", rejects={"broken quotes": 1}
    ),
    "a quote that is never closed": Case(
        CSV_ROWS + b'"u,a,1,5\n' + CSV_ROWS,
        name="orders.csv",
        error="line 4: a quote is opened and never closed",
    ),
    "ids of digits, with and without leading zeros": Case(
        CSV_ROWS + b"007,0205616461,%d,5\n7,205616461,%d,5\n" % (TIME, TIME),
        name="orders.csv",
        kept=4,
        check=lambda found: (
            {row["user_id"] for row in found.interactions} == {"u", "007", "7"}
            and {"0205616461", "205616461"} <= set(found.products)
        ),
    ),
    "a number instead of a text as an id": Case(
        VALID + line(item=205616461),
        kept=3,
        check=lambda found: "205616461" in found.products,
    ),
    "an id that is null, empty or blank": Case(
        VALID + line(item=None) + line(item="") + line(item=" \t"),
        rejects={"missing item_id": 3},
    ),
    "a timestamp that is 0, negative, before 1995 or in the future": Case(
        VALID + line(time=0) + line(time=-TIME) + line(time=788_918_399_999) + line(time=TIME * 4),
        rejects={"impossible timestamp": 4},
    ),
    "no timestamp": Case(
        VALID + line(time=None) + line(time=" "), rejects={"missing timestamp": 2}
    ),
    "a file in seconds instead of milliseconds, or the reverse": Case(
        line(time=TIME // 1000) + line(item="b", time=TIME // 1000 + 1) + line(time=0),
        rejects={"impossible timestamp": 1},
        check=lambda found: [row["timestamp"] for row in found.interactions] == [TIME, TIME + 1000],
    ),
    "some rows in seconds": Case(
        VALID + line(time=TIME // 1000), rejects={"impossible timestamp": 1}
    ),
    "equal timestamps of one customer": Case(
        line(item="b") + line(item="a") + line(item="c"),
        kept=3,
        check=lambda found: [row["item_id"] for row in found.sequences] == ["b", "a", "c"],
    ),
    "a repeated user, item and timestamp": Case(VALID + line(stars=1) + line(), kept=2),
    "a customer of 100,000 purchases": Case(
        b"".join(line(user="v", item=f"i{n % 7}", time=TIME + n) for n in range(100_000)),
        kept=100_000,
        check=lambda found: [row["position"] for row in found.sequences] == list(range(1, 100_001)),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_malformed_file_or_row_is_handled_as_documented(tmp_path: Path, name: str) -> None:
    case = CASES[name]
    sources = CSV_SOURCES if "csv" in case.name else JSON_SOURCES
    if case.error:
        with pytest.raises(InputError) as error:
            prepare(tmp_path, {case.name: case.content}, sources, **case.limits)
        assert case.error in str(error.value)
        assert len(str(error.value).splitlines()) <= 6
        return
    found = prepare(tmp_path, {case.name: case.content}, sources, **case.limits)
    assert found.rejects == case.rejects
    read, kept, rejected = found.counts[case.name]
    assert (read, rejected) == (kept + rejected, sum(case.rejects.values()))
    assert len(found.interactions) == case.kept
    assert case.check(found)


TITLE_CASES: dict[str, tuple[str | None, str | None]] = {
    "no title, or a blank one": (" \u200b ", None),
    "a title of 1 MB": ("x" * 2**20, "x" * 1000),
    "entities and tags": ("<span class='a'>Rose &amp;amp; Oat</span>", "Rose & Oat"),
    "a script instead of a title": ("var aPageStart = (new Date()).getTime();", None),
    "emoji, and right-to-left scripts": ("💄 👩‍🔬 שמן", "💄 👩‍🔬 שמן"),
    "invisible characters, and marks of text direction": ("\u202eRo\u200bse\ufeff", "Rose"),
    "UTF-8 that was read as Windows-1252": ("CrÃ¨me", "Crème"),
}


@pytest.mark.parametrize("name", TITLE_CASES)
def test_title_is_cleaned_as_documented(tmp_path: Path, name: str) -> None:
    given, expected = TITLE_CASES[name]
    products = json.dumps({"item": "a", "title": given}).encode() + b"\n"
    found = prepare(tmp_path, {"orders.jsonl": VALID, "products.jsonl": products})
    assert found.products["a"] == expected
    assert len(found.interactions) == 2


ATTRIBUTE_CASES: dict[str, tuple[Any, str | None]] = {
    "no attributes": (None, None),
    "empty or blank attributes, and `Unknown`": (["Unknown", "", " ", None, "Nails"], "Nails"),
    "a repeated attribute": ([["Beauty", "Nails"], ["Beauty"]], "Beauty, Nails"),
    "entities, tags, white space in attributes": ("Hands &amp;  <b>Nails</b>", "Hands & Nails"),
    "a list as text": ("['Beauty', ['Nails']]", "Beauty, Nails"),
    "brackets that are not a list": ("[rose] & [oat]", "[rose] & [oat]"),
    "a value in a list that is neither text nor number": (
        ["Nails", True, {"a": "b"}, 5],
        "Nails, 5",
    ),
    "attributes of 1 MB": (["x" * 2**20, "y"], "x" * 1000),
}


@pytest.mark.parametrize("name", ATTRIBUTE_CASES)
def test_attributes_are_combined_as_documented(tmp_path: Path, name: str) -> None:
    given, expected = ATTRIBUTE_CASES[name]
    products = json.dumps({"item": "a", "title": "Rose", "kind": given}).encode() + b"\n"
    catalogue = JSON_SOURCES["products"]["catalogue"]
    columns = catalogue["columns"] | {"attributes": "kind"}  # type: ignore[operator]
    sources = JSON_SOURCES | {"products": {"catalogue": catalogue | {"columns": columns}}}
    found = prepare(tmp_path, {"orders.jsonl": VALID, "products.jsonl": products}, sources)
    assert found.attributes["a"] == expected


READER_CASES = {"a file that changes while it is read", "an .xls or .ods file"}
"""Tested in tests/ingestion/readers."""

DELETED_CASES = {
    "a customer who was deleted in the online service",
    "a file of deleted customers that is damaged",
}
"""Tested in test_deleted_users.py, and in tests/datasets/test_raw_interactions.py."""

PRODUCT_CASES = {
    "a purchase of a product that is in no source",
    "a product that is listed without a title",
    "a product that is listed several times",
}


@pytest.mark.parametrize(("keep_users", "kept"), [("all", 3), ("any", 1), ("all_titled", 0)])
def test_purchases_without_a_title_are_kept_or_dropped_and_counted(
    tmp_path: Path, keep_users: str, kept: int
) -> None:
    products = b'{"item": "a", "title": "Rose"}\n{"item": "b", "title": null}\n'
    orders = VALID + line(item="c", time=TIME + 2) + line(user="v") + line(user="v", time=TIME + 1)
    found = prepare(
        tmp_path, {"orders.jsonl": orders, "products.jsonl": products}, keep_users=keep_users
    )
    first_user = [row for row in found.interactions if row["user_id"] == "u"]
    assert len(first_user) == kept
    assert len(found.interactions) == kept + 2
    unknown, untitled = found.coverage["unknown product"], found.coverage["without title"]
    assert (unknown["products"], unknown["interactions"], unknown["examples"]) == (1, 1, ["c"])
    assert (untitled["products"], untitled["interactions"], untitled["examples"]) == (1, 1, ["b"])


def test_title_is_the_first_one_of_the_source(tmp_path: Path) -> None:
    products = b"".join(
        json.dumps({"item": "a", "title": title}).encode() + b"\n" for title in ("", "Rose", "Oat")
    )
    found = prepare(tmp_path, {"orders.jsonl": VALID, "products.jsonl": products})
    assert found.products["a"] == "Rose"


def test_docs_list_exactly_the_tested_cases() -> None:
    page = (ROOT / "docs" / "reference" / "bad-input.md").read_text(encoding="utf-8")
    cells = re.findall(r"^\| ([^|]+?) \|", page, flags=re.MULTILINE)
    names = [cell for cell in cells if cell != "input" and not cell.startswith("--")]
    tested = {*CASES, *ROW_CASES, *TITLE_CASES, *PRODUCT_CASES, *ATTRIBUTE_CASES}
    tested |= READER_CASES | DELETED_CASES
    assert sorted(names) == sorted(tested)


def number_files(*parts: bytes) -> dict[str, bytes]:
    return {f"orders-{number}.jsonl": part for number, part in enumerate(parts)}


def test_duplicate_files_do_not_change_the_result(tmp_path: Path) -> None:
    other = line(user="v") + line(user="v", item="b") + line(user="v", item="c")
    for name in ("once", "twice"):
        (tmp_path / name).mkdir()
    once = prepare(tmp_path / "once", number_files(VALID, other))
    twice = prepare(tmp_path / "twice", number_files(VALID, other, other, VALID))
    assert twice.sequences == once.sequences
    assert twice.products == once.products
    assert {name: row["interactions"] for name, row in twice.coverage.items()} == {
        name: row["interactions"] for name, row in once.coverage.items()
    }


def test_order_of_files_does_not_change_the_result(tmp_path: Path) -> None:
    # All timestamps are equal, so rows are ordered by file name, then by row number.
    files = number_files(line(item="c") + line(item="b"), line(item="a") + line(item="d"))
    names = list(files)
    found = []
    for given in (names, names[::-1], ["*.jsonl"], [*names, "orders-*"]):
        sources = JSON_SOURCES | {
            "interactions": {
                "orders": JSON_SOURCES["interactions"]["orders"]
                | {"files": [name for name in given if name != "*.jsonl"] or "orders-*.jsonl"}
            }
        }
        found.append(prepare(tmp_path, files, sources).sequences)
    assert [row["item_id"] for row in found[0]] == ["c", "b", "a", "d"]
    assert found[1:] == found[:1] * 3


def test_added_file_gives_the_same_result_as_all_files_at_once(tmp_path: Path) -> None:
    first, second = line(time=TIME + 5) + line(user="v"), line(item="b") + line(user="w")
    for name in ("grown", "complete"):
        (tmp_path / name).mkdir()
    prepare(tmp_path / "grown", number_files(first))
    grown = prepare(tmp_path / "grown", number_files(first, second))
    complete = prepare(tmp_path / "complete", number_files(first, second))
    assert grown == complete
    assert [row["item_id"] for row in grown.sequences] == ["b", "a", "a", "a"]


def test_optional_source_may_have_no_file(tmp_path: Path) -> None:
    orders = JSON_SOURCES["interactions"]["orders"]
    sources = JSON_SOURCES | {
        "interactions": {
            "old": orders | {"files": "old.csv", "format": "csv", "optional": True},
            "new": orders | {"files": "orders.jsonl", "optional": True},
        }
    }
    found = prepare(tmp_path, {"orders.jsonl": VALID}, sources)
    assert len(found.interactions) == 2
    (tmp_path / "orders.jsonl").unlink()
    with pytest.raises(InputError, match=r"Expected one of old.csv, orders.jsonl"):
        prepare(tmp_path, {}, sources)


def test_python_literals_are_parsed_and_never_executed(tmp_path: Path) -> None:
    lines = (
        b"{'item': '0205616461', 'title': \"Rose's Oil\", 'price': 1.5, 'sizes': [[1, 2]]}\n"
        b"\n"
        b"{'item': 'a', 'title': 'Cr\xc3\xa8me', 'open': True}\n"
        b"{'item': 'cut\n"
        b"__import__('os').system('touch executed')\n"
        b"['item', 'b']\n"
        b"{'item': 'c', 'title': '\xff'}\n" + b"(" * 5000 + b")" * 5000 + b"\n"
    )
    sources = JSON_SOURCES | {
        "products": {
            "old": {
                "files": "meta.json.gz",
                "format": "python",
                "columns": {"item_id": "item", "title": "title"},
            }
        }
    }
    found = prepare(
        tmp_path, {"orders.jsonl": VALID, "meta.json.gz": gzip.compress(lines)}, sources
    )
    assert found.products == {"0205616461": "Rose's Oil", "a": "Crème", "b": None}
    assert found.counts["meta.json.gz"] == (7, 2, 5)
    assert found.rejects == {
        "broken Python literal": 3, "not a Python dictionary": 1, "not UTF-8": 1,
    }  # fmt: skip
    assert not Path("executed").exists()
    (tmp_path / "meta.json.gz").write_bytes(gzip.compress(b"words\n"))
    with pytest.raises(InputError, match="no line is a Python dictionary"):
        prepare(tmp_path, {"orders.jsonl": VALID}, sources)
    (tmp_path / "meta.json.gz").write_bytes(gzip.compress(b"{'asin': 1}\n"))
    with pytest.raises(InputError, match=r"has no column 'item'\. Available: 'asin'"):
        prepare(tmp_path, {"orders.jsonl": VALID}, sources)
