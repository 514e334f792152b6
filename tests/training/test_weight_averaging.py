"""The mean of the weights over the training steps."""

from typing import Any

import keras
import numpy as np

from bazar.training.weight_averaging import MeanWeights
from tests.training.test_trainer import change_training, cycle_split, make_one_batch_block, train


def test_weights_count_for_the_number_of_their_steps() -> None:
    weight = keras.Variable(np.zeros(2, np.float32))
    mean = MeanWeights([weight])
    for steps, value in ((3, [4.0, 8.0]), (4, [2.0, 0.0])):
        weight.assign(np.array(value, np.float32))
        mean.update(steps)
    np.testing.assert_allclose(mean.values[0], [(0 + 3 * 4 + 4 * 2) / 8, 3 * 8 / 8])
    with mean.applied():
        np.testing.assert_allclose(weight.numpy(), mean.values[0])
    np.testing.assert_allclose(weight.numpy(), [2.0, 0.0])


def test_averaged_weights_are_the_mean_over_all_steps() -> None:
    split, described = cycle_split(users=40), make_one_batch_block(epochs=3)

    def embeddings(**changes: Any) -> np.ndarray:
        trained = train(split, change_training(described, **changes))
        assert trained.facts["best_epoch"] == len(trained.training_log)
        return trained.network.item_embedding.embeddings.numpy()

    weights = [embeddings(epochs=1, learning_rate=1e-12)]
    weights += [embeddings(epochs=epochs) for epochs in (1, 2, 3)]
    found = embeddings(average_weights=True)
    np.testing.assert_allclose(found, np.mean(weights, axis=0), rtol=1e-4, atol=1e-6)
    assert np.abs(found - weights[-1]).max() > 1e-3
