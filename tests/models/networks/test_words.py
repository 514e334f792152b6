"""Learned vectors of words."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from pydantic import ValidationError

from bazar.config.networks import NetworkOptions
from bazar.data.item_words import ItemTexts, ItemWords
from bazar.models.networks.files import read_network
from bazar.models.networks.recurrent import RecurrentNetwork, build_network
from bazar.models.networks.vocabulary import remap_network
from bazar.models.networks.words import WordEmbedding

VOCABULARY = np.array(["=acme", "mint", "rose", "soap"], object)
TITLES = [None, "Rose soap", "Mint soap", "Oil", None]
ATTRIBUTES = [None, "Acme", None, None, "Acme"]
IDS = np.array(["", "a", "b", "c", "d"], object)
OPTIONS = NetworkOptions.model_validate(
    {
        "item": "id", "item_dimension": 3, "words": "title_and_attributes",
        "layers": [{"type": "gru", "units": 4}], "head": "tied_softmax",
    }
)  # fmt: skip


def make_texts(titles: list[str | None] = TITLES) -> ItemTexts:
    return ItemTexts(np.array(titles, object), np.array(ATTRIBUTES, object))


def build() -> RecurrentNetwork:
    keras.utils.set_random_seed(5)
    network = build_network(OPTIONS, len(IDS) - 1, n_words=len(VOCABULARY))
    network.set_texts(VOCABULARY, make_texts())
    network.item_ids = IDS
    network.word_embedding.embeddings.assign(np.random.default_rng(2).normal(size=(4, 3)))
    return network


def test_vector_of_an_item_has_the_scaled_sum_of_its_words() -> None:
    network = build()
    words = network.word_embedding.embeddings.numpy()
    ids = network.item_embedding.embeddings.numpy()
    expected = [
        ids[0],
        ids[1] + (words[0] + words[2] + words[3]) / np.sqrt(3),
        ids[2] + (words[1] + words[3]) / np.sqrt(2),
        # No word of the vocabulary, and no title.
        ids[3],
        ids[4],
    ]
    np.testing.assert_allclose(network.embed_catalogue(None), expected, rtol=1e-5)
    found = network.embed_items(np.array([[2, 1], [0, 4], [2, 3]], np.int32), None)
    rows = np.array(expected)[[[2, 1], [0, 4], [2, 3]]]
    np.testing.assert_allclose(found, rows, rtol=1e-5)


def test_both_ways_have_the_same_gradients() -> None:
    layer = WordEmbedding(7, 3)
    layer.build()
    rng = np.random.default_rng(4)
    counts = np.array([0, 2, 0, 5, 1])
    numbers = np.concatenate([rng.permutation(7)[:count] for count in counts]).astype(np.int32)
    layer.set_words(ItemWords(numbers, np.append(0, np.cumsum(counts))))
    factors = tf.constant(rng.normal(size=(5, 3)), tf.float32)

    def compute_gradient(embed: object) -> np.ndarray:
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(embed() * factors)
        return tf.convert_to_tensor(tape.gradient(total, layer.embeddings.value)).numpy()

    expected = compute_gradient(lambda: layer(tf.range(5)))
    assert np.abs(expected[numbers]).min() > 0
    np.testing.assert_allclose(compute_gradient(layer.embed_catalogue), expected, rtol=1e-5)


def test_words_are_saved_with_the_network(tmp_path: Path) -> None:
    network = build()
    network.save(str(tmp_path / "network.keras"))
    again = read_network(tmp_path / "network.keras")
    assert again.vocabulary.tolist() == VOCABULARY.tolist()
    np.testing.assert_array_equal(again.embed_catalogue(None), network.embed_catalogue(None))


def test_a_new_product_has_its_known_words() -> None:
    network = build()
    item_ids = np.array(["", "new", "b", "a"], object)
    titles = np.array([None, "Mint oil", "Mint soap", "Rose"], object)
    texts = ItemTexts(titles, np.array([None] * 4, object))
    grown = remap_network(network, item_ids, texts)
    words = network.word_embedding.embeddings.numpy()
    embedded = np.asarray(grown.embed_catalogue(None))
    # Its own vector is not used until it is trained.
    np.testing.assert_allclose(embedded[1], words[1], rtol=1e-5)
    np.testing.assert_allclose(embedded[2], np.asarray(network.embed_catalogue(None))[2], rtol=1e-5)
    ids = network.item_embedding.embeddings.numpy()
    np.testing.assert_allclose(embedded[3], ids[1] + words[2], rtol=1e-5)
    with pytest.raises(ValueError, match="texts are required"):
        remap_network(network, item_ids)


def test_a_changed_title_of_the_same_catalogue_is_read() -> None:
    network = build()
    changed = remap_network(network, IDS.copy(), make_texts([None, "Mint", *TITLES[2:]]))
    words = network.word_embedding.embeddings.numpy()
    ids = network.item_embedding.embeddings.numpy()
    expected = ids[1] + (words[0] + words[1]) / np.sqrt(2)
    np.testing.assert_allclose(np.asarray(changed.embed_catalogue(None))[1], expected, rtol=1e-5)


def test_words_need_a_size_and_a_vocabulary() -> None:
    with pytest.raises(ValueError, match="n_words is required"):
        build_network(OPTIONS, 4)
    values = OPTIONS.model_dump() | {"item": "title", "item_dimension": None}
    with pytest.raises(
        ValidationError, match="words: title_and_attributes needs an item_dimension"
    ):
        NetworkOptions.model_validate(values)
