import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from kedro.io import DataCatalog

import bazar
from bazar.errors import InputError
from bazar.serving.answers import RECOMMENDATIONS
from bazar.serving.bundle import Bundle
from bazar.serving.recommender import Recommender
from tests.serving.example_bundle import (
    N_ITEMS,
    N_PRODUCTS,
    NEW_PRODUCT,
    PURCHASES,
    make_bundle,
    make_products_without_title,
    make_sequences,
)

CUSTOMERS = make_sequences(PURCHASES).user_ids.to_pylist()


@pytest.mark.parametrize("model", ["blend", "classifier", "regressor", "decayed_cooccurrence"])
def test_next_product_of_the_cycle_is_recommended_first(
    recommender: Recommender, model: str
) -> None:
    for last in range(3, N_ITEMS):
        history = [f"P{index:02d}" for index in range(last - 2, last + 1)]
        answer = recommender.recommend(history, k=3, model=model)
        assert answer[0].item_id == f"P{last + 1:02d}"
        assert answer[0].title == f"title {last + 1}"
        assert [product.rank for product in answer] == [1, 2, 3]
        scores = [product.score for product in answer]
        assert scores == sorted(scores, reverse=True)
        assert not {product.item_id for product in answer} & set(history)
        assert answer.model == model


def test_first_model_is_the_default(recommender: Recommender) -> None:
    assert recommender.recommend(["P01", "P02"]).model == "blend"


def test_load_loads_every_configured_model(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "bundle"))
    recommender = bazar.Recommender.load(copy)
    shutil.rmtree(copy / "networks")
    for model in (None, *recommender.models, "recent_popularity"):
        assert len(recommender.recommend(["P01", "P02"], 3, model=model)) == 3
    assert {model for model, _ in recommender._registry._scorers} == {
        "classifier", "decayed_cooccurrence", "regressor", "recent_popularity",
    }  # fmt: skip


def test_models_are_loaded_at_their_first_use_without_load(bundle: Bundle) -> None:
    recommender = Recommender(bundle)
    assert not recommender._registry._scorers
    assert recommender.recommend(["P02", "P03"], 1, model="ease")[0].item_id == "P04"
    assert set(recommender._registry._scorers) == {("ease", 42)}
    assert Recommender(bundle).similar("P01", 1)[0].item_id == NEW_PRODUCT


def test_latest_purchase_changes_the_answer(recommender: Recommender) -> None:
    before, after = (
        recommender.recommend(history, 1) for history in (["P02", "P03"], ["P02", "P03", "P04"])
    )
    assert (before[0].item_id, after[0].item_id) == ("P04", "P05")


def test_one_purchase_is_enough(recommender: Recommender) -> None:
    assert recommender.recommend(["P05"], 1, model="classifier")[0].item_id == "P06"


def test_empty_history_is_answered_by_recent_popularity(recommender: Recommender) -> None:
    answer = recommender.recommend([], k=N_PRODUCTS)
    assert answer.model == "recent_popularity"
    products = recommender.products
    recent = dict(zip(products.item_ids, products.recent_counts, strict=True))
    counts = [recent[product.item_id] for product in answer]
    assert counts == sorted(counts, reverse=True)
    assert all(product.nearest_item_id is None for product in answer)


def test_unknown_items_are_reported(
    recommender: Recommender, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        answer = recommender.recommend(["nothing", "P02", "P03", "neither"], 2)
    assert answer.unknown_items == ("nothing", "neither")
    assert "not in the catalogue: 'nothing', 'neither'" in caplog.text
    assert list(answer) == list(recommender.recommend(["P02", "P03"], 2))


def test_history_of_unknown_items_is_an_error(recommender: Recommender) -> None:
    with pytest.raises(InputError, match=r"None of these items .*: 'nothing', 'neither'\."):
        recommender.recommend(["nothing", "neither"])
    with pytest.raises(InputError, match="'5' and 4 more"):
        recommender.recommend([str(number) for number in range(1, 10)])


@pytest.mark.parametrize(
    ("history", "message"),
    [
        ("P01", r"must be a list of item ids, got the text 'P01'\. Use \['P01'\]\."),
        (b"P01", r"got the text b'P01'"),
        (35786242, r"must be a list of item ids, got 35786242\."),
        (["P01", 35786242], r"must be texts, got 35786242 \(int\)\. Use '35786242'"),
        (["P01", np.int64(5)], r"must be texts, got .*5.*\. Use '5', with any leading zeros"),
        ([None], r"must be texts, got None .* leave out missing values"),
        ([float("nan")], r"must be texts, got nan .* leave out missing values"),
    ],
)
def test_history_that_is_no_list_of_texts_is_an_error(
    recommender: Recommender, history: Any, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        recommender.recommend(history)


def test_history_may_be_any_sequence_of_texts(recommender: Recommender) -> None:
    expected = list(recommender.recommend(["P02", "P03"], 3))
    for history in (("P02", "P03"), np.array(["P02", "P03"]), np.array(["P02", "P03"], object)):
        assert list(recommender.recommend(history, 3)) == expected


def test_seen_products_are_filtered_unless_asked_for(recommender: Recommender) -> None:
    history = [f"P{index:02d}" for index in range(1, 5)]
    filtered = recommender.recommend(history, k=N_PRODUCTS)
    unfiltered = recommender.recommend(history, k=N_PRODUCTS, filter_seen=False)
    removed = {product.item_id for product in unfiltered} - {
        product.item_id for product in filtered
    }
    assert removed == set(history)


def test_categories_limit_the_products(recommender: Recommender) -> None:
    answer = recommender.recommend(["P02", "P03"], k=N_PRODUCTS, categories=["BLUE"])
    assert answer[0].item_id == "P05"
    assert {int(product.item_id[1:]) % 2 for product in answer} == {1}
    both = recommender.recommend(["P02", "P03"], k=N_PRODUCTS, categories=["Blue", "Brand 3"])
    item_ids = [{product.item_id for product in each} for each in (answer, both)]
    assert item_ids[1] == item_ids[0] | {"P04"}


def test_unknown_category_is_an_error_with_close_names(recommender: Recommender) -> None:
    with pytest.raises(InputError, match=r"(?i)'Bleu'.*did you mean.*blue"):
        recommender.recommend(["P02"], categories=["Bleu"])
    frequent = r"'Garden'\. The most frequent are: (blue, red|red, blue), brand "
    with pytest.raises(InputError, match=frequent):
        recommender.recommend(["P02"], categories=["Garden"])
    with pytest.raises(InputError, match=r"categories must be .*Use \['Blue'\]"):
        recommender.recommend(["P02"], categories="Blue")


def test_most_similar_past_purchase_is_returned(recommender: Recommender) -> None:
    vectors = recommender.products.vectors
    for product in recommender.recommend(["P01", "P02", "P03"], 4):
        cosines = vectors[1:4] @ vectors[recommender.products.index[product.item_id]]
        assert product.nearest_item_id == f"P{np.argmax(cosines) + 1:02d}"
        assert product.nearest_title == f"title {np.argmax(cosines) + 1}"
        assert product.nearest_cosine == pytest.approx(cosines.max(), abs=1e-6)


def test_similar_products_are_those_with_the_nearest_titles(recommender: Recommender) -> None:
    answer = recommender.similar(NEW_PRODUCT, 3)
    assert answer[0].item_id == "P01"
    vectors = recommender.products.vectors
    cosines = np.sort(vectors[1:N_PRODUCTS] @ vectors[N_PRODUCTS])[::-1]
    assert [product.score for product in answer] == pytest.approx(cosines[:3].tolist(), abs=1e-6)
    assert len(recommender.similar("P01", 100)) == N_PRODUCTS - 1
    with pytest.raises(InputError, match="no product 'P99'"):
        recommender.similar("P99")
    with pytest.raises(InputError, match=r"must be texts, got 1 "):
        recommender.similar(1)  # type: ignore[arg-type]


def test_new_product_is_ranked_by_models_that_read_titles(recommender: Recommender) -> None:
    # It is like the first product, which comes after the last of the cycle.
    for model in ("classifier", "regressor"):
        answer = recommender.recommend(["P11", "P12"], 3, model=model)
        assert NEW_PRODUCT in [product.item_id for product in answer], model
    answer = recommender.recommend([NEW_PRODUCT], 1, model="regressor")
    assert answer[0].item_id in {"P01", "P02"}


@pytest.mark.parametrize("k", [0, -1, 2.5, "3", None])
def test_k_must_be_an_integer_of_at_least_one(recommender: Recommender, k: Any) -> None:
    for call in (recommender.recommend, recommender.similar):
        with pytest.raises(InputError, match=rf"k must be an integer of at least 1, got {k!r}\."):
            call("P01" if call == recommender.similar else ["P01"], k=k)


def test_unknown_model_is_an_error_with_the_available_ones(recommender: Recommender) -> None:
    assert set(recommender.available_models) > {"blend", "classifier", "regressor", "ease"}
    with pytest.raises(InputError, match=r"no model 'clasifier'.*Did you mean 'classifier'\?"):
        recommender.recommend(["P01"], model="clasifier")


def test_models_that_are_not_in_the_bundle_are_not_available(bundle: Bundle) -> None:
    recommender = Recommender(make_bundle({}, models=("ease",), weights={}))
    recommender.load_models()
    assert recommender.recommend(["P03"], 1).model == "ease"
    for model in ("blend", "classifier", "regressor"):
        assert model not in recommender.available_models
        with pytest.raises(InputError, match=f"no model '{model}' in the bundle"):
            recommender.recommend(["P01"], model=model)
    broken = Recommender(make_bundle({"seed_42/regressor": bundle.networks["seed_42/regressor"]}))
    with pytest.raises(InputError, match=r"no network seed_42/classifier"):
        broken.recommend(["P01"])


def test_unknown_customer_is_an_error(recommender: Recommender) -> None:
    assert not recommender.has_customer("nobody")
    with pytest.raises(InputError, match=r"no customer 'nobody'.*joining.min_interactions"):
        recommender.history("nobody")
    with pytest.raises(InputError, match=r"no customer 'U000'\. Did you mean 'u000'\? Guests"):
        recommender.history("U000")
    with pytest.raises(InputError, match=r"must be a text, got 17\. Use '17'"):
        recommender.history(17)  # type: ignore[arg-type]


def test_history_of_a_customer_is_returned(recommender: Recommender) -> None:
    for user, items in zip(CUSTOMERS, PURCHASES, strict=True):
        assert recommender.has_customer(user)
        assert recommender.has_customer(np.str_(user))
        assert recommender.history(user) == [f"P{item:02d}" for item in items]


def test_answer_is_a_table_and_plain_values(recommender: Recommender) -> None:
    answer = recommender.recommend(["P01", "what"], 3)
    frame = answer.to_frame()
    assert frame["item_id"].tolist() == [product.item_id for product in answer]
    plain = json.loads(json.dumps(answer.to_json()))
    assert plain["unknown_items"] == ["what"]
    assert [product["item_id"] for product in plain["products"]] == frame["item_id"].tolist()
    assert "Blend" in answer._repr_html_()
    assert answer[0].item_id in answer._repr_html_()


def test_scores_have_the_digits_of_a_float32(recommender: Recommender) -> None:
    for product in recommender.recommend(["P01", "P02"], N_PRODUCTS):
        for number in (product.score, product.nearest_cosine):
            assert number is not None
            assert len(str(number).lstrip("-0.").split("e")[0].replace(".", "")) <= 9
            assert float(str(np.float32(number))) == number


def test_filter_seen_of_the_bundle_is_the_default(bundle: Bundle) -> None:
    history = ["P03", "P03", "P04"]
    for default, filter_seen, is_filtered in (
        (False, None, False), (False, True, True), (True, None, True), (True, False, False),
    ):  # fmt: skip
        recommender = Recommender(make_bundle(bundle.networks, filter_seen=default))
        answer = recommender.recommend(history, N_PRODUCTS, None, filter_seen)
        assert {product.item_id for product in answer}.isdisjoint(history) == is_filtered


@pytest.mark.parametrize("filter_seen", [True, False])
def test_everyone_is_recommended_the_same_as_alone(
    recommender: Recommender, filter_seen: bool
) -> None:
    for model in ("blend", "regressor"):
        batches = list(recommender.recommend_to_everyone(model, 3, filter_seen, batch_size=5))
        assert max(len(set(batch["user_id"].to_pylist())) for batch in batches) <= 5
        rows = pa.Table.from_batches(batches, RECOMMENDATIONS).to_pandas()
        assert sorted(rows["user_id"].unique()) == sorted(CUSTOMERS)
        for user in CUSTOMERS:
            own = rows[rows["user_id"] == user]
            alone = recommender.recommend(recommender.history(user), 3, model, filter_seen)
            assert own["item_id"].tolist() == [product.item_id for product in alone]
            assert own["title"].tolist() == [product.title for product in alone]
            scores = [product.score for product in alone]
            assert own["score"].tolist() == pytest.approx(scores, rel=1e-4)
            assert own["rank"].tolist() == [1, 2, 3]
            assert (own["model"] == model).all()
            assert (own["answered_by"] == alone.model).all()


def assert_everyone_is_answered(
    recommender: Recommender, model: str, histories: list[list[str]]
) -> None:
    """Compare the answers for all customers with one answer per history."""
    (rows,) = recommender.recommend_to_everyone(model, 2, True, batch_size=5)
    answers = [recommender.recommend(history, 2, model) for history in histories]
    item_ids = [product.item_id for answer in answers for product in answer]
    assert rows["item_id"].to_pylist() == item_ids
    assert rows["answered_by"].to_pylist() == [answer.model for answer in answers for _ in answer]


@pytest.mark.parametrize("model", ["regressor", "nearest_titles"])
def test_history_without_titles_is_answered_by_recent_popularity(
    bundle: Bundle, model: str
) -> None:
    products = make_products_without_title(3)
    untitled = Recommender(make_bundle(bundle.networks, products))
    assert untitled.recommend(["P03"], 2, model=model).model == "recent_popularity"
    assert untitled.recommend(["P03", "P04"], 1, model=model).model == model
    with pytest.raises(InputError, match="'P03' has no title"):
        untitled.similar("P03")
    # The same holds for all customers at once: here for one who bought only that product.
    everyone = Recommender(make_bundle(bundle.networks, products, purchases=[[3], [3, 4]]))
    assert_everyone_is_answered(everyone, model, [["P03"], ["P03", "P04"]])


def test_item_that_is_cold_and_has_no_title_is_not_informative(
    recommender: Recommender, bundle: Bundle
) -> None:
    new = NEW_PRODUCT
    assert recommender.recommend([new], 2, model="classifier").model == "classifier"
    products = make_products_without_title(N_PRODUCTS)
    products.vectors[3] = 0
    untitled = Recommender(make_bundle(bundle.networks, products, purchases=[[N_PRODUCTS], [3]]))
    assert untitled.recommend([new], 2, model="classifier").model == "recent_popularity"
    # An id that was in training is enough.
    assert untitled.recommend(["P03"], 2, model="classifier").model == "classifier"
    assert_everyone_is_answered(untitled, "classifier", [[new], ["P03"]])


def test_copied_bundle_gives_the_same_answers(
    folder: Path, recommender: Recommender, tmp_path: Path
) -> None:
    copy = shutil.copytree(folder, tmp_path / "elsewhere")
    expected = list(recommender.recommend(["P03"], 5))
    assert list(Recommender.load(copy).recommend(["P03"], 5)) == expected


def test_bundle_is_read_from_a_catalog(bundle: Bundle, recommender: Recommender) -> None:
    config = {"bundle": {"type": "MemoryDataset", "copy_mode": "assign"}}
    catalog = DataCatalog.from_config(config)
    catalog.save("bundle", bundle)
    expected = list(recommender.recommend(["P03"], 5))
    assert list(Recommender.from_catalog(catalog).recommend(["P03"], 5)) == expected


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_answers(recommender: Recommender) -> None:
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = 7 if recommender.recommend(["P03"], 1)[0].item_id == "P04" else 2
        finally:
            os._exit(status)
    deadline = time.monotonic() + 20
    while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0) and time.monotonic() < deadline:
        time.sleep(0.05)
    if ended == (0, 0):
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert ended != (0, 0), "the forked process did not answer"
    assert os.waitstatus_to_exitcode(ended[1]) == 7


def test_recommender_needs_no_framework_and_prints_nothing(folder: Path) -> None:
    program = "\n".join(
        [
            "import sys",
            "class Absent:",
            "    def find_spec(self, name, *_):",
            "        if name in {'kedro', 'tensorflow', 'keras', 'torch', 'pandas', 'ibis'}:",
            "            raise ModuleNotFoundError(name)",
            "sys.meta_path.insert(0, Absent())",
            "from bazar import Recommender",
            f"recommender = Recommender.load({str(folder)!r})",
            "assert recommender.models == ('blend', 'classifier', 'regressor')",
            "for model in recommender.models:",
            "    print(recommender.recommend(['P03'], 1, model)[0].item_id)",
            "print(recommender.similar('P01', 1)[0].item_id)",
        ]
    )
    command = [sys.executable, "-W", "ignore", "-c", program]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.stdout.split() == ["P04", "P04", "P04", NEW_PRODUCT], ran.stderr[-2000:]
    assert ran.stderr == ""
