"""A network learns what its teacher expects."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bazar.data.splits import Splits, split_leave_one_out
from bazar.data.windows import Windows
from bazar.errors import InputError
from bazar.models.networks.scorers import make_scorer
from bazar.models.scorer import Scorer
from bazar.training.distillation import Distillation, SoftTargets, compute_soft_targets
from bazar.training.trainer import TrainedNetwork, train_network
from tests.data.test_splits import sequences_of
from tests.training.test_trainer import N_ITEMS, block

RNG = np.random.default_rng(4)
# Each item has three probable followers, with shares that the purchases do not show.
FOLLOWERS = np.zeros((N_ITEMS + 1, N_ITEMS + 1))
for item in range(1, N_ITEMS + 1):
    chosen = 1 + RNG.choice(N_ITEMS, 3, replace=False)
    FOLLOWERS[item, chosen] = [0.6, 0.3, 0.1]


class Teacher(Scorer):
    """Expects the followers of the last item."""

    def score(self, windows: Windows) -> np.ndarray:
        last = windows.sequences.items[windows.target_positions - 1]
        return np.where(FOLLOWERS[last] > 0, FOLLOWERS[last], -np.inf).astype(np.float32)

    def to_shares(self, scores: np.ndarray) -> np.ndarray:
        return np.maximum(scores, 0)


def make_random_split(users: int = 200, length: int = 9) -> Splits:
    """Users who buy at random: a network can learn the followers from the teacher alone.

    The last two purchases, for validation and test, are followers.
    """
    rng = np.random.default_rng(5)
    lists = rng.integers(1, N_ITEMS + 1, (users, length)).tolist()
    for items in lists:
        for position in (-2, -1):
            items[position] = int(rng.choice(N_ITEMS + 1, p=FOLLOWERS[items[position - 1]]))
    return split_leave_one_out(sequences_of(lists), N_ITEMS, history_length=8)


def train(split: Splits, distillation: Distillation | None, **training: object) -> TrainedNetwork:
    return train_network(
        split.train,
        split.validation,
        block(training),
        N_ITEMS,
        1,
        filter_seen=False,
        distillation=distillation,
    )


def test_a_student_equals_its_teacher() -> None:
    split = make_random_split()
    teacher = Teacher()
    soft = compute_soft_targets(teacher, split.train, 3)
    student = train(split, Distillation(soft, 1), epochs=40, schedule="cosine").network
    test = split.test
    expected = teacher.to_shares(teacher.score(test))
    found = make_scorer(student, None).score(test)
    assert np.abs(found - expected)[:, 1:].max() < 0.05
    assert np.array_equal(found[:, 1:].argmax(axis=1), expected[:, 1:].argmax(axis=1))


def test_without_its_teacher_the_student_knows_nothing() -> None:
    split = make_random_split()
    student = train(split, None, epochs=30).network
    scores = make_scorer(student, None).score(split.test)
    expected = Teacher().score(split.test)
    agree = scores[:, 1:].argmax(axis=1) == expected[:, 1:].argmax(axis=1)
    assert agree.mean() < 0.3


@pytest.mark.parametrize(("rows", "weight"), [("window", 0.3), ("every_position", 1)])
def test_a_teacher_that_expects_each_purchase_changes_nothing(rows: str, weight: float) -> None:
    split = make_random_split(users=40)
    positions = np.sort(split.train.target_positions)
    targets = split.train.sequences.items[positions, None]
    soft = SoftTargets(positions, targets, np.ones(targets.shape, np.float32))
    alone, taught = (
        train(split, found, rows=rows, epochs=2) for found in (None, Distillation(soft, weight))
    )
    np.testing.assert_allclose(taught.training_log["loss"], alone.training_log["loss"], rtol=1e-4)
    scores = [make_scorer(one.network, None).score(split.test) for one in (alone, taught)]
    np.testing.assert_allclose(scores[0], scores[1], atol=1e-4)


@settings(max_examples=25)
@given(n_items=st.integers(1, N_ITEMS), seed=st.integers(0, 99), size=st.integers(1, 40))
def test_soft_targets_are_the_best_items_of_each_row(n_items: int, seed: int, size: int) -> None:
    split = make_random_split(users=12)
    rng = np.random.default_rng(seed)
    rows = split.train.take(rng.permutation(len(split.train))[:size])
    soft = compute_soft_targets(Teacher(), rows, n_items)
    items, shares = soft.take(rows.target_positions)
    last = rows.sequences.items[rows.target_positions - 1]
    for row, followers in enumerate(FOLLOWERS[last]):
        best = np.argsort(-followers, kind="stable")[: min(3, n_items)]
        assert items[row][: len(best)].tolist() == best.tolist()
        assert not shares[row][len(best) :].any()
        np.testing.assert_allclose(
            shares[row][: len(best)], followers[best] / followers[best].sum(), rtol=1e-5
        )


def test_other_rows_are_an_error() -> None:
    split = make_random_split(users=12)
    soft = compute_soft_targets(Teacher(), split.train.take(np.arange(5)), 3)
    with pytest.raises(ValueError, match="other training rows"):
        soft.take(split.train.target_positions)
    with pytest.raises(ValueError, match="weight must be above 0"):
        Distillation(soft, 0)


def test_a_sampled_softmax_cannot_learn_from_a_teacher() -> None:
    split = make_random_split(users=12)
    soft = compute_soft_targets(Teacher(), split.train, 3)
    with pytest.raises(InputError, match=r"found head: tied_softmax, 12 items and sample_above: 3"):
        train(split, Distillation(soft, 0.5), sample_above=3)
