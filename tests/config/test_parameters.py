from typing import Any

import pytest
from pydantic import ValidationError

from bazar.config.sources import InteractionSource, ProductSource
from bazar.config.recommendation import RecommendationOptions

RECOMMENDATION = {"top_k": 10, "filter_seen": True, "batch_size": 512}


@pytest.mark.parametrize("models", ["auto", ("blend", "classifier"), ["popularity"]])
def test_recommending_models_are_auto_or_a_list(models: Any) -> None:
    options = RecommendationOptions(models=models, **RECOMMENDATION)  # type: ignore[arg-type]
    assert options.models == (models if models == "auto" else tuple(models))


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ("classifier", "must be auto, or a list of models"),
        (["clasifier"], "should be 'classifier'"),
        ([], "at least 1 item"),
    ],
)
def test_unknown_recommending_models_are_rejected(models: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        RecommendationOptions(models=models, **RECOMMENDATION)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "files", ["/data/orders.csv", "/data/*.csv", "~/orders.csv", r"C:\shop\a.csv", ["a.csv", "/b"]]
)
def test_absolute_files_are_rejected_with_the_key_to_set(files: Any) -> None:
    with pytest.raises(ValidationError, match="paths within raw_dir, not absolute paths"):
        ProductSource(files=files, format="csv", columns={"item_id": "i", "title": "t"})


@pytest.mark.parametrize(
    ("columns", "unit", "message"),
    [
        ({"item_id": "i", "timestamp": "t"}, "s", "must map user_id, found item_id, time"),
        ({"user_id": "u", "item_id": "i"}, None, "must map timestamp, or position"),
        ({"user_id": "u", "item_id": "i", "timestamp": "t"}, None, "timestamp_format must be ms, s"),
        ({"user_id": "u", "item_id": "i", "position": "p"}, "s", "timestamp_format is s, but"),
    ],
)
def test_columns_and_unit_must_fit(columns: Any, unit: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        InteractionSource(files="f", format="csv", columns=columns, timestamp_format=unit)
