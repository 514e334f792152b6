"""Messages about invalid keys of a source."""

from typing import Any

import pytest
from pydantic import ValidationError

from bazar.config.base import format_validation_errors
from bazar.config.sources import InteractionSource

COLUMNS = {"user_id": "user", "item_id": "item", "timestamp": "time"}


def format_errors(**keys: Any) -> str:
    with pytest.raises(ValidationError) as error:
        InteractionSource.model_validate({"files": "orders.csv", "columns": COLUMNS, **keys})
    return format_validation_errors(error.value, InteractionSource)


def test_unknown_key_of_a_condition_is_reported_with_the_keys_of_yaml() -> None:
    assert format_errors(where={"status": {"equals": "paid"}}).startswith(
        "  where.status.equals: unknown key. Available: in, matches, max, min, missing, not_in."
    )


def test_invalid_value_of_a_condition_is_reported_with_the_key_of_yaml() -> None:
    assert "where.status.in: must " in format_errors(where={"status": {"in": []}})


@pytest.mark.parametrize(("value", "kind"), [(22423, "number"), (7.5, "number"), (True, "boolean")])
def test_id_without_quotes_is_reported(value: Any, kind: str) -> None:
    assert format_errors(exclude_items={"ids": ["POST", value]}) == (
        f'  exclude_items.ids.1: must be in quotes, as in "{value}", because YAML reads it as a '
        f"{kind}, found {value}"
    )
