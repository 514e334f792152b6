import pytest
from pydantic import ValidationError

from bazar.config.sources import InteractionSource


def read(time_format: str) -> str:
    columns = {"user_id": "u", "item_id": "i", "timestamp": "t"}
    source = InteractionSource(files="f", columns=columns, timestamp_format=time_format)  # type: ignore[arg-type]
    return source.timestamp_format


@pytest.mark.parametrize(
    "time_format",
    ["auto", "iso", "ns", "excel", "%d.%m.%Y[ %H:%M[:%S[.%f]]][ %z]", "%B %d, %y", "%Y%m%d%%"],
)
def test_time_formats_are_accepted(time_format: str) -> None:
    assert read(time_format) == time_format


@pytest.mark.parametrize(
    ("time_format", "message"),
    [
        ("minutes", "must be auto, iso, excel, s, ms, us, ns, or a format such as %d.%m.%Y %H:%M"),
        ("%d.%m.%Y %j", "%j is not supported. Use %Y, %m"),
        ("%d.%m.%Y %", "% is not supported"),
        ("%m/%Y", "must contain a year, a month and a day"),
        ("%d.%m[.%Y]", "must contain a year, a month and a day, outside of brackets"),
        ("%d.%m.%Y[ %H:%M", "each [ must have a ]"),
        ("%d.%m.%Y] %H:%M[", "each [ must have a ]"),
        ("%d.%m.%Y %H:%M %d", "must not contain both %d and %d"),
        ("%d %b %m %Y", "must not contain both %b and %m"),
    ],
)
def test_other_time_formats_are_rejected(time_format: str, message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        read(time_format)
    assert message in str(caught.value)
