"""Texts are parsed to equal values on both engines."""

import random
from typing import Any

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bazar.errors import InputError
from bazar.ingestion import parsing
from bazar.ingestion.time_detection import detect_time_format
from bazar.ingestion.time_formats import MONTH_NAMES
from bazar.ingestion.times import parse_timestamp

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
    "2020-03-29 01:30:00", "2020-10-25T01:30:00", "2020-09-13 12:26:40 GMT",
    "2020-09-13 12:26 PST", "2020-09-13T12:26:40CEST", "2020-09-13 12:26:40 IST",
]  # fmt: skip
WRITTEN_TIMES = [
    "1.3.2024", "01.03.2024 10:21", "31.02.2024", "1.3.24 9:5", "31.12.68 23:59", "1.1.69 0:00",
    "03.11.2024 01:30:05.25 +0530",
    "10.03.2024 02:30 UTC", "12/1/2010 8:26 AM", "12/1/2010, 12:26\u202fp.m.", "1/13/2010 0:26 PM",
    "Fri, 01 Mar 2024 10:21:00 GMT", "dimanche 15 Août 2024 10:21:00 -03", "1 Foo 2024",
    "vendredi, 1 MÄRZ 2024 23:59:59 z", "20240301", "20240301102105", "2024030110", "2\u212aMar",
    "01-DÉC-24", "45352.43125", "45591.08", "1709288460123456", "1709288460123456789",
    "100 % [1.3.2024]", "1.3.07 12:30", "2.3.07 12:30", "3.3.07 12:30",
]  # fmt: skip
WRITTEN_TIMES += [
    f"1 {name.upper()} 2024" for names in MONTH_NAMES.values() for name in names.split()
]
FORMATS = [
    ("iso", "UTC"), ("iso", "Europe/London"), ("excel", "Australia/Lord_Howe"),
    ("s", "UTC"), ("ms", "UTC"), ("us", "UTC"), ("ns", "UTC"),
    ("%d.%m.%Y[ %H:%M[:%S[.%f]]][ %z]", "America/New_York"), ("%d.%m.%y %H:%M", "UTC"),
    ("%m/%d/%Y[,] %I:%M[ ]%p", "America/Sao_Paulo"), ("%d %b %Y[ %H:%M:%S[ %z]]", "Asia/Tokyo"),
    ("%d-%B-%y", "Asia/Kolkata"), ("%Y%m%d[%H%M[%S]]", "Africa/Casablanca"),
]  # fmt: skip
AMOUNTS = ["1,234.50", "$12", "EUR 12.00", "1.234,50 €", "1 234,5", "12,5", "1'000", "1,2,3", "5 %"]
AMOUNTS += ["(4.00)", "($1,234.50)", "-$5.00", "5.00-", "1.234,50 €-", "(-4)", "N/A", "-"]
WHITE = [
    f"{white}v{white}f{white}"
    for white in " \t\n\r\x0b\x0c\x00\x1c\x85\xa0\u1680\u2003\u2028\u202f\u3000\ufeff\u200b"
]
TEXTS = [
    None,
    *NUMBERS,
    *TIMES,
    *WRITTEN_TIMES,
    *AMOUNTS,
    *WHITE,
    "\\n",
    "n \\",
    "vf",
    "t\x0b",
    " \t\n\r\x0b\x0c",
]


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
    texts = TEXTS + [mutate(rng.choice(TEXTS[1:]), rng) for _ in range(3_000)]
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
        **{f"amount_{sign}": parsing.parse_amount(table.text, sign) for sign in ".,"},
        **{
            f"time_{number}": parse_timestamp(table.text, time_format, zone)
            for number, (time_format, zone) in enumerate(FORMATS)
        },
    ).order_by("row")
    # Through Parquet: Ibis reads Spark's results with pandas, where integers lose their nulls.
    spark = ibis.pyspark.connect(session)
    spark.to_parquet(parsed, tmp_path / "parsed")
    on_spark = ibis.duckdb.connect().read_parquet(f"{tmp_path}/parsed/*.parquet").to_pyarrow()
    on_duckdb = ibis.duckdb.connect().to_pyarrow(parsed)
    assert on_spark.schema.equals(on_duckdb.schema)
    different = [
        (duckdb_row["text"], column, duckdb_row[column], spark_row[column])
        for duckdb_row, spark_row in zip(on_duckdb.to_pylist(), on_spark.to_pylist(), strict=True)
        for column in duckdb_row
        if repr(duckdb_row[column]) != repr(spark_row[column])
    ]
    assert different == []
    for column in ("number", "time_0"):
        assert len(texts) - on_duckdb[column].null_count > 100
    for number in range(len(FORMATS)):
        assert len(texts) - on_duckdb[f"time_{number}"].null_count > 3


def test_formats_are_detected_on_spark(session: Any, tmp_path: Any) -> None:
    columns = {
        "named": ["Fri, 01 Mar 2024 10:21:00 GMT", "Sat, 02 Mar 2024 10:21:00 GMT", ""],
        "unclear": ["1/2/2024", "3/4/2024", " "],
    }
    path = str(tmp_path / "times.parquet")
    pq.write_table(pa.table(columns), path)
    table = ibis.pyspark.connect(session).read_parquet(path)

    def detect(column: str) -> str:
        return detect_time_format(table, column, 1_800_000_000_000, "interactions.shop")

    assert detect("named") == "%d %b %Y[ %H:%M:%S[.%f][[ ]%z]]"
    with pytest.raises(InputError, match="'1/2/2024' is\n  1 February 2024"):
        detect("unclear")
