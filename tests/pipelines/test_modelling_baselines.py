"""Evaluation of the baselines on data that is too small."""

from dataclasses import replace
from typing import Any

import ibis
import numpy as np
import pytest

from bazar.config.evaluation import EvaluationOptions
from bazar.config.models import BaselineOptions
from bazar.data.splits import split_leave_one_out
from bazar.errors import InputError
from bazar.pipelines.modelling_baselines.nodes import evaluate_baselines
from bazar.synthetic.files import ORACLE_SCHEMA
from tests.data.test_splits import sequences_of
from tests.reporting.data_summary_data import make_summary

LISTS = [[1, 2, 1, 2, 1], [2, 1, 2, 1]]


@pytest.mark.parametrize(
    ("lists", "guests", "sizes"),
    [
        (LISTS, [0, 1], "There are 7 training rows and 0 test rows"),
        ([[1, 2], [2, 1]], [], "There are 0 training rows and 2 test rows"),
    ],
)
def test_missing_rows_raise_input_error(lists: Any, guests: list[int], sizes: str) -> None:
    sequences = replace(sequences_of(lists), guests=np.array(guests, np.int64))
    splits = split_leave_one_out(sequences, 2, history_length=5)
    splits = replace(splits, summary={"protocol": "leave_one_out"})
    index = ibis.memtable({"item_id": ["a", "b"], "item_index": [1, 2]})
    vectors = np.eye(3, dtype=np.float32)
    results = evaluate_baselines(
        splits, index, vectors, ORACLE_SCHEMA.empty_table(), BaselineOptions.model_construct(),
        EvaluationOptions.model_construct(),
    )  # fmt: skip
    with pytest.raises(InputError, match=sizes):
        next(iter(results))


def test_summary_shows_that_no_model_can_be_measured() -> None:
    assert "no test rows" in [check.name for check in make_summary(test_rows=0).checks]
