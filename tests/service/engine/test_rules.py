from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bazar.errors import InputError
from bazar.service.engine.engine import Engine
from bazar.service.engine.requests import (
    BoughtTogetherRequest,
    Diversity,
    RecommendRequest,
    SearchRequest,
    SimilarRequest,
    Visitor,
)
from bazar.service.live import ItemState, NewItem
from tests.service.engine.example_store import ITEM_IDS, at_day, make_engine

N = len(ITEM_IDS)
ALICE = Visitor(user_id="alice")


def load(engine: Engine, folder: Path, rules: str) -> None:
    path = folder / "rules.yml"
    path.write_text("rules:\n" + rules, encoding="utf-8")
    engine.load_rules(path)


def ask(engine: Engine, k: int = N, **fields: object) -> tuple[list[str], tuple[str, ...]]:
    request = RecommendRequest(visitor=ALICE, k=k, **{"at": at_day(91)} | fields)  # type: ignore[arg-type]
    answer = engine.recommend(request)
    return answer.item_ids, answer.rules


def test_pin_sets_the_position(engine: Engine, tmp_path: Path) -> None:
    before, no_rules = ask(engine)
    assert no_rules == ()
    load(engine, tmp_path, "  - {name: new, action: pin, items: [soap, jam], position: 2}")
    after, rules = ask(engine)
    assert after[1:3] == ["soap", "jam"]
    assert rules == ("new",)
    assert [item for item in after if item not in ("soap", "jam")] == [
        item for item in before if item not in ("soap", "jam")
    ]
    answer = engine.recommend(RecommendRequest(visitor=ALICE, at=at_day(91), k=3))
    assert [product.rules for product in answer.products] == [(), ("new",), ("new",)]


def test_pin_of_a_brand_takes_its_best_product(engine: Engine, tmp_path: Path) -> None:
    before, _ = ask(engine)
    best = next(item for item in before if item in ("soap", "shampoo", "shampoo-l", "moisturiser"))
    load(engine, tmp_path, "  - {name: flora, action: pin, attributes: [flora], position: 1}")
    assert ask(engine)[0][0] == best


def test_second_pin_of_a_position_takes_the_next_one(engine: Engine, tmp_path: Path) -> None:
    load(
        engine,
        tmp_path,
        "  - {name: a, action: pin, items: [soap], position: 1}\n"
        "  - {name: b, action: pin, items: [jam], position: 1}\n",
    )
    assert ask(engine)[0][:2] == ["soap", "jam"]


def test_pinned_product_must_be_available(engine: Engine, tmp_path: Path) -> None:
    load(engine, tmp_path, "  - {name: a, action: pin, items: [soap], position: 1}")
    engine.change_items([ItemState("soap", in_stock=False)])
    listed, rules = ask(engine)
    assert "soap" not in listed
    assert rules == ()
    engine.change_items([ItemState("soap")])
    assert "soap" not in ask(engine, exclude=("soap",))[0]
    load(
        engine,
        tmp_path,
        "  - {name: a, action: pin, items: [soap], position: 1}\n"
        "  - {name: b, action: exclude, items: [soap]}\n",
    )
    assert "soap" not in ask(engine)[0]


def test_pin_behind_the_last_product(engine: Engine, tmp_path: Path) -> None:
    load(engine, tmp_path, "  - {name: a, action: pin, items: [soap], position: 900}")
    others = tuple(item for item in ITEM_IDS if item not in ("milk", "soap", "jam"))
    assert ask(engine, exclude=others)[0][-1] == "soap"
    assert len(ask(engine, exclude=others)[0]) == 3


def test_exclusion_by_product_and_by_category(engine: Engine, tmp_path: Path) -> None:
    load(
        engine,
        tmp_path,
        "  - {name: recall, action: exclude, items: [milk]}\n"
        "  - {name: no care, action: exclude, attributes: [CARE]}\n",
    )
    listed, rules = ask(engine)
    care = {"shampoo", "shampoo-l", "shampoo-xl", "soap", "moisturiser"}
    assert set(listed) == set(ITEM_IDS) - {"milk"} - care
    assert rules == ("recall", "no care")
    similar = engine.list_similar(SimilarRequest(item_id="soap"))
    assert not care & set(similar.item_ids)
    # A rule is listed only if it changed the list.
    assert "recall" not in similar.rules or "milk" not in similar.item_ids
    assert ask(engine, 1)[1] == (("recall",) if ask(make_engine(), 1)[0] == ["milk"] else ())


def test_boost_moves_products_up_and_down(engine: Engine, tmp_path: Path) -> None:
    before, _ = ask(engine)
    favourite, other = before[0], before[5]
    load(engine, tmp_path, f"  - {{name: up, action: boost, items: [{other}], factor: 1000}}")
    after, rules = ask(engine)
    assert after.index(other) < before.index(other)
    assert rules == ("up",)
    load(
        engine, tmp_path, f"  - {{name: down, action: boost, items: [{favourite}], factor: 0.001}}"
    )
    after, rules = ask(engine)
    assert after.index(favourite) > 0
    assert rules == ("down",)
    # The rule moved the product out of a short list.
    listed, rules = ask(engine, 1)
    assert listed == before[1:2]
    assert rules == ("down",)


@pytest.mark.parametrize(
    "request_",
    [
        SimilarRequest(item_id="shampoo", k=2),
        BoughtTogetherRequest(item_ids=("bread",), k=2),
        SearchRequest(query="herbal shampoo", k=2),
    ],
)
def test_boosts_apply_to_all_lists(
    engine: Engine, tmp_path: Path, request_: SimilarRequest
) -> None:
    first, second = engine._list(request_).item_ids
    load(engine, tmp_path, f"  - {{name: x, action: boost, items: [{first}], factor: 0.001}}")
    answer = engine._list(request_)
    assert answer.item_ids[0] == second
    assert answer.rules == ("x",)


@pytest.mark.parametrize(
    ("dates", "applies"),
    [
        ("start: 2025-02-01", True),
        ("start: 2025-02-02", False),
        ("end: 2025-01-31", False),
        ("end: 2025-02-01", True),
        ("start: 2025-02-01T12:00:00+01:00", True),
        ("start: '2025-02-01T12:00:01'", False),
        ("end: 2025-02-01T12:00:00Z", False),
        ("start: 2025-01-01, end: 2025-12-31", True),
    ],
)
def test_dates_of_rules(engine: Engine, tmp_path: Path, dates: str, applies: bool) -> None:
    load(engine, tmp_path, f"  - {{name: a, action: exclude, items: [milk], {dates}}}")
    noon = 1_738_411_200_000  # 2025-02-01T12:00:00Z
    assert ("milk" not in ask(engine, at=noon)[0]) is applies


def test_placements_of_rules(engine: Engine, tmp_path: Path) -> None:
    rule = "  - {name: a, action: exclude, items: [milk], placements: [home, search]}"
    load(engine, tmp_path, rule)
    assert "milk" in ask(engine)[0]
    assert "milk" not in ask(engine, placement="home")[0]
    assert "milk" not in engine.search(SearchRequest(query="milk")).item_ids


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("{name: a, action: boost, items: [milk], factor: -1}", r"factor: .* than 0, found -1"),
        ("{name: a, action: boost, items: [milk]}", r"factor: is missing"),
        ("{name: a, action: pin, items: [milk], position: 0}", "position: .*to 1, found 0"),
        ("{name: a, action: pin, items: [milk], positon: 1}", "positon: unknown key.*position"),
        ("{name: a, action: drop, items: [milk]}", "action must be pin, boost or exclude.*'drop'"),
        ("{action: exclude, items: [milk]}", "name: is missing"),
        ("{name: a, action: exclude}", "items or attributes must name at least one product"),
        ("{name: a, action: exclude, items: [tea]}", "items .* no product 'tea'"),
        ("{name: a, action: exclude, attributes: [Dary]}", "'Dary'. Did you mean 'dairy'"),
        ("{name: a, action: exclude, items: [milk], start: soon}", "start: must be a date.*'soon'"),
        (
            "{name: a, action: exclude, items: [milk], start: 2024-02-02, end: 2024-02-01}",
            "end must be later than start",
        ),
        ("exclude milk", "must be a block of keys and values, found 'exclude milk'"),
        ("{name: first, action: exclude, items: [milk]}", "name must be unique, found 'first'"),
    ],
)
def test_invalid_rule_is_reported_and_the_old_rules_stay(
    engine: Engine, tmp_path: Path, rule: str, message: str
) -> None:
    load(engine, tmp_path, "  - {name: old, action: exclude, items: [jam]}")
    second = f"  - {{name: first, action: exclude, items: [soap]}}\n  - {rule}"
    with pytest.raises(InputError, match=f"(?s)rules.yml, rule 2.*{message}"):
        load(engine, tmp_path, second)
    listed, rules = ask(engine)
    assert "jam" not in listed
    assert "soap" in listed
    assert rules == ("old",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rules: {a: 1}", "rules must be a list of rules"),
        ("rule: []", "must have only the key rules, a list of rules; found rule"),
        ("- a", "must have only the key rules"),
        ("rules: [", "cannot be read"),
        ("rules:\n  - {name: a, action: exclude, items: [1]}", "items.0: .* found 1"),
    ],
)
def test_invalid_file(engine: Engine, tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "rules.yml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        engine.load_rules(path)
    with pytest.raises(InputError, match="cannot be read"):
        engine.load_rules(tmp_path / "missing.yml")


def test_empty_file_removes_the_rules(engine: Engine, tmp_path: Path) -> None:
    load(engine, tmp_path, "  - {name: old, action: exclude, items: [jam]}")
    (tmp_path / "rules.yml").write_text("# none\n", encoding="utf-8")
    engine.load_rules(tmp_path / "rules.yml")
    assert engine.rules == ()
    assert "jam" in ask(engine)[0]


def test_rules_of_products_that_are_gone_match_nothing(engine: Engine, tmp_path: Path) -> None:
    engine.add_items([NewItem("tea", "Green Tea", "Drinks, Ceylon")])
    load(
        engine,
        tmp_path,
        "  - {name: a, action: pin, items: [tea], position: 1}\n"
        "  - {name: b, action: exclude, attributes: [Ceylon]}\n"
        "  - {name: c, action: exclude, items: [milk]}\n",
    )
    other = make_engine(rules=engine.rules)
    listed, rules = ask(other)
    assert set(listed) == set(ITEM_IDS) - {"milk"}
    assert rules == ("c",)


@given(
    st.lists(
        st.tuples(st.sampled_from(ITEM_IDS), st.integers(1, 12)),
        max_size=5,
        unique_by=lambda p: p[0],
    ),
    st.sets(st.sampled_from(ITEM_IDS), max_size=10),
    st.lists(st.integers(1, 6), min_size=1, max_size=6),
    st.one_of(st.none(), st.integers(1, 2)),
)
def test_pages_with_pins_together_are_one_long_list(
    tmp_path_factory: pytest.TempPathFactory,
    pins: list[tuple[str, int]],
    excluded: set[str],
    sizes: list[int],
    per_group: int | None,
) -> None:
    engine = make_engine()
    rules = "".join(
        f"  - {{name: {item}, action: pin, items: [{item}], position: {position}}}\n"
        for item, position in pins
    )
    if rules:
        load(engine, tmp_path_factory.mktemp("rules"), rules)
    fields = {
        "visitor": ALICE,
        "exclude": tuple(sorted(excluded)),
        "diversity": Diversity(per_group),
    }
    listed: list[str] = []
    cursor = None
    for size in sizes:
        request = RecommendRequest(k=size, cursor=cursor, at=at_day(91), **fields)  # type: ignore[arg-type]
        page = engine.recommend(request)
        listed += page.item_ids
        cursor = page.cursor
        if cursor is None:
            break
    long = RecommendRequest(k=max(1, len(listed)), at=at_day(91), **fields)  # type: ignore[arg-type]
    assert listed == engine.recommend(long).item_ids
    assert len(set(listed)) == len(listed)
