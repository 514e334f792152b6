import pandas as pd
import pytest

from bazar.errors import InputError
from bazar.evaluation.results import (
    ModelResults,
    check_measured_on,
    fingerprint_rows,
    select_current,
)

CURRENT = {"test_rows": 1000, "items": 5, "rows_fingerprint": "0a"}


def make_results(measured_on: dict | None) -> ModelResults:
    metrics = {} if measured_on is None else {"measured_on": measured_on}
    return ModelResults(metrics, pd.DataFrame(), pd.DataFrame())


@pytest.mark.parametrize(
    "measured_on",
    [
        None,
        {},
        CURRENT | {"items": 4},
        CURRENT | {"rows_fingerprint": "0b"},
        {"test_rows": 1000, "items": 5},
    ],
)
def test_results_on_other_data_raise(measured_on: dict | None) -> None:
    results = {"classifier": make_results(CURRENT), "ease": make_results(measured_on)}
    message = (
        r"^ease: measured on other data than the current test part \(1,000 test rows, 5 items\)\.\n"
        r"Run the pipelines modelling_baselines again\.$"
    )
    with pytest.raises(InputError, match=message):
        check_measured_on(results, CURRENT)


def test_results_on_the_current_data_do_not_raise() -> None:
    check_measured_on({"classifier": make_results(CURRENT)}, CURRENT)
    check_measured_on({"classifier": make_results(CURRENT)}, {"items": 5})
    check_measured_on({}, CURRENT)


def test_message_names_each_pipeline_once() -> None:
    outdated = make_results({"test_rows": 9})
    names = ("seed_42/model_i", "seed_42/model_ii", "blend", "ease", "popularity")
    with pytest.raises(InputError) as error:
        check_measured_on(dict.fromkeys(names, outdated), CURRENT)
    assert "seed_42/model_i, seed_42/model_ii, blend, ease, popularity: measured" in str(
        error.value
    )
    assert "pipelines modelling_reproduction,modelling_blend,modelling_baselines again" in str(
        error.value
    )


def test_labels_with_a_seed_name_the_pipeline_of_the_model() -> None:
    results = {"ease": make_results({}), "classifier (seed 43)": make_results({})}
    with pytest.raises(InputError) as error:
        check_measured_on(results, CURRENT)
    assert str(error.value).startswith("ease, classifier (seed 43): measured on other data")
    assert "modelling_baselines,modelling_classifier again" in str(error.value)


def test_current_results_are_selected_in_order() -> None:
    current, outdated = make_results(CURRENT), make_results(CURRENT | {"test_rows": 999})
    results = {"model_ii": outdated, "ease": current, "model_i": outdated, "blend": current}
    selected, names = select_current(results, CURRENT)
    assert list(selected.items()) == [("ease", current), ("blend", current)]
    assert names == ["model_ii", "model_i"]


def test_fingerprint_depends_on_rows_and_not_on_string_types() -> None:
    rows = pd.DataFrame(
        {"row": [0, 1], "user_id": ["u", "v"], "item_id": ["a", "b"], "n_seen": [1, 2]}
    )
    fingerprint = fingerprint_rows(rows)
    assert len(fingerprint) == 16
    assert fingerprint_rows(rows.astype({"user_id": object, "n_seen": "int32"})) == fingerprint
    assert fingerprint_rows(rows.iloc[::-1]) != fingerprint
    assert fingerprint_rows(rows.assign(n_seen=[1, 3])) != fingerprint
    # Two targets of one row, and two rows with one target each.
    one_user = rows.assign(user_id="u", n_seen=1)
    assert fingerprint_rows(one_user) != fingerprint_rows(one_user.assign(row=0))
