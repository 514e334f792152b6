"""The layer that learns a vector for each word of the products."""

from typing import Any

import keras
import tensorflow as tf

from bazar.data.item_words import ItemWords


@keras.saving.register_keras_serializable("bazar")
class WordEmbedding(keras.layers.Layer):
    """Turns the words of an item into a vector: their learned vectors, added up.

    The sum of n vectors is divided by the square root of n, so that items with many words have
    vectors of about the same length as others. Items without words have the vector 0. The words of
    the items are not weights: :meth:`set_words` can be called again for another catalogue.
    """

    def __init__(self, n_words: int, size: int, **kwargs: Any) -> None:
        """Create the layer.

        Args:
            n_words: number of words of the vocabulary.
            size: size of the vector of an item.
            **kwargs: arguments of a Keras layer.
        """
        super().__init__(**kwargs)
        self._config = {"n_words": n_words, "size": size}

    def build(self, input_shape: Any = None) -> None:
        """Create the weights. They start small: they are added to the vectors of titles or ids."""
        shape = (self._config["n_words"], self._config["size"])
        self.embeddings = self.add_weight(
            shape=shape, initializer=keras.initializers.RandomUniform(-0.005, 0.005),
            name="embeddings",
        )  # fmt: skip
        self.built = True

    def set_words(self, words: ItemWords) -> None:
        """Set the words of the items of the catalogue."""
        self._numbers = tf.constant(words.numbers)
        self._starts = tf.constant(words.starts)

    def call(self, items: Any) -> Any:
        """Return the vectors of items.

        Args:
            items: item indices of any shape, int32.

        Returns:
            Shape of ``items`` plus one axis with the size of a vector, float32.
        """
        flat = tf.reshape(items, (-1,))
        rows = tf.RaggedTensor.from_row_splits(self._numbers, self._starts, validate=False)
        found = tf.gather(rows, flat)
        counts = found.row_lengths()
        vectors = tf.math.unsorted_segment_sum(
            tf.gather(tf.convert_to_tensor(self.embeddings), found.values),
            found.value_rowids(),
            tf.size(flat),
        )
        scaled = vectors * _scale_counts(counts)[:, None]
        return tf.reshape(scaled, tf.concat([tf.shape(items), [self._config["size"]]], axis=0))

    def embed_catalogue(self) -> Any:
        """Return the vectors of all items, shape (items + 1, size), float32.

        The product of sparse matrices needs a tenth of the memory of :meth:`call` with all items.
        """
        counts = self._starts[1:] - self._starts[:-1]
        items = tf.repeat(tf.range(tf.size(counts), dtype=tf.int64), counts)
        indices = tf.stack([items, tf.cast(self._numbers, tf.int64)], axis=1)
        weights = tf.gather(_scale_counts(counts), items)
        shape = (tf.size(counts, out_type=tf.int64), self._config["n_words"])
        matrix = tf.sparse.SparseTensor(indices, weights, tf.stack(shape))
        return tf.sparse.sparse_dense_matmul(matrix, tf.convert_to_tensor(self.embeddings))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> Any:
        """Return the shape of the output."""
        return (*input_shape, self._config["size"])

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return super().get_config() | self._config


def _scale_counts(counts: Any) -> Any:
    """Return the factor of the sums of each item, from its number of words."""
    return tf.math.rsqrt(tf.cast(tf.maximum(counts, 1), tf.float32))
