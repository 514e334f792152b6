from typing import Any

import pytest
from pydantic import ValidationError

from bazar.config.recommendation import RecommendationOptions
from bazar.config.sources import InteractionSource

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
    ("columns", "given", "message"),
    [
        ({"item_id": "i", "timestamp": "t"}, {}, "must map user_id, found item_id, timestamp"),
        ({"user_id": "u", "item_id": "i"}, {}, "must map timestamp, or position"),
        (
            {"user_id": "u", "item_id": "i", "position": "p"},
            {"timestamp_format": "s"},
            "timestamp_format is s, but",
        ),
    ],
)
def test_columns_and_time_format_must_fit(columns: Any, given: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        InteractionSource(files="f", columns=columns, **given)
