"""Texts are parsed to equal values on both engines."""

import random
from typing import Any

import ibis
import pyarrow as pa
import pytest

from bazar.ingestion import parsing

pytestmark = pytest.mark.spark

NUMBERS = [
    "12", "+12", "-.5", "1.", "1.6e12", "1E-3", " 7\n", "007", "1e-400", "1e400", "9" * 400, "-0",
    "nan", "NaN", "inf", "-Infinity", "1_000", "1,000", "12d", "12f", "0x1p3", "1e", ".", "--1",
    "9007199254740993", "2.5e-324", "1e99999999999", "9223372036854775807", "9e18", "0.5", "2.5",
    "-0.5", "0.49999999999999994", "4503599627370497.5", "1600000000.0005", "", "true", "\u0967",
]  # fmt: skip
TIMES = [
    "2020-09-13T12:26:40", "2020-09-13 12:26:40.9999", "2020-09-13 12:26:40,5", "2020/9/3 1:2:3",
    "2020-09-13 12:26:40 UTC", "2020-09-13T14:26:40+02:00", "2020-09-13 06:56:40.5-0530",
    "2020-09-13t12:26:40z", "2020-09-13 12:26", "2020-09-13", "1950-01-01 00:00:00.25",
    "1582-10-10", "0001-01-01", "0000-01-01", "9999-12-31 23:59:59.999999-23:59", "2019-02-29",
    "2020-13-01", "2020-09-13 24:00", "2020-09-13 12:26:60", "epoch", "infinity", "12020-01-01",
    "2020-03-29 02:30:00", "2020-10-25T02:30:00", "2020-09-13 12:26:40 Europe/Paris",
]  # fmt: skip
WHITE = [
    f"{white}v{white}f{white}"
    for white in " \t\n\r\x0b\x0c\x00\x1c\x85\xa0\u1680\u2003\u2028\u202f\u3000\ufeff\u200b"
]
TEXTS = [None, *NUMBERS, *TIMES, *WHITE, "\\n", "n \\", "vf", "t\x0b", " \t\n\r\x0b\x0c"]


def mutate(text: str, rng: random.Random) -> str:
    """Return the text with up to three characters inserted, removed or replaced."""
    characters = list(text)
    for _ in range(rng.randint(0, 3)):
        position = rng.randrange(len(characters) + 1)
        character = rng.choice("0123456789-+.:TZ eE_,/\t\x0b\xa0\u2028dfx")
        characters[position : position + rng.randint(0, 1)] = rng.choice([[], [character]])
    return "".join(characters)


def test_engines_parse_equal_values(session: Any, tmp_path: Any) -> None:
    rng = random.Random(7)
    texts = TEXTS + [mutate(rng.choice(NUMBERS + TIMES), rng) for _ in range(4_000)]
    texts += [repr(rng.uniform(-1, 1) * 10.0 ** rng.randint(-320, 308)) for _ in range(500)]
    rows = pa.table({"row": range(len(texts)), "text": pa.array(texts, pa.string())})
    table = ibis.memtable(rows)
    number = parsing.parse_number(table.text)
    parsed = table.select(
        "row",
        "text",
        stripped=parsing.strip(table.text),
        one_space=table.text.re_replace(f"{parsing.WHITE}+", " "),
        number=number,
        integer=parsing.round_number(number),
        milliseconds=parsing.round_number(number * 1000),
        time=parsing.parse_time(table.text),
    ).order_by("row")
    # Through Parquet: Ibis reads Spark's results with pandas, where integers lose their nulls.
    spark = ibis.pyspark.connect(session)
    spark.to_parquet(parsed, tmp_path / "parsed")
    on_spark = ibis.duckdb.connect().read_parquet(f"{tmp_path}/parsed/*.parquet").to_pyarrow()
    on_duckdb = ibis.duckdb.connect().to_pyarrow(parsed)
    assert on_spark.schema.equals(on_duckdb.schema)
    different = [
        (duckdb_row, spark_row)
        for duckdb_row, spark_row in zip(on_duckdb.to_pylist(), on_spark.to_pylist(), strict=True)
        if repr(duckdb_row) != repr(spark_row)
    ]
    assert different == []
    for column in ("number", "time"):
        assert len(texts) - on_duckdb[column].null_count > 300
