"""Recurrent networks, built from their description in YAML."""

import keras

from bazar.options import DenseLayer, DropoutLayer, NetworkOptions, RecurrentLayer

_RECURRENT = {
    "simple_rnn": keras.layers.SimpleRNN,
    "lstm": keras.layers.LSTM,
    "gru": keras.layers.GRU,
}


def build_network(
    options: NetworkOptions, n_items: int, vector_dimension: int | None = None
) -> keras.Model:
    """Build a network.

    Its input is a history padded on the left: item indices, shape (rows, length), int32, when
    ``options.item`` is ``id``; title vectors, shape (rows, length, vector_dimension), float32,
    when it is ``title``. Padding (index 0, a vector of zeros) is masked: it leaves the state of
    the recurrent layers as it was. The length is free.

    Its output is a probability per item index, shape (rows, n_items + 1), when ``options.head``
    is ``softmax``; a vector, shape (rows, vector_dimension), when it is ``vector``.

    Args:
        options: the description.
        n_items: size of the catalogue.
        vector_dimension: size of a title vector; needed by ``item: title`` and ``head: vector``.

    Returns:
        The network, not compiled, with weights drawn from Keras' global seed.

    Raises:
        ValueError: if ``vector_dimension`` is needed and missing.
    """
    if vector_dimension is None and (options.item == "title" or options.head == "vector"):
        raise ValueError("item: title and head: vector need the dimension of the vectors")
    if options.item == "id":
        history = keras.Input((None,), dtype="int32", name="history")
        states = keras.layers.Embedding(n_items + 1, options.item_dimension, mask_zero=True)(
            history
        )
    else:
        history = keras.Input((None, vector_dimension), dtype="float32", name="history")
        states = keras.layers.Masking(0.0)(history)

    last_recurrent = max(
        place for place, layer in enumerate(options.layers) if isinstance(layer, RecurrentLayer)
    )
    for place, layer in enumerate(options.layers):
        match layer:
            case RecurrentLayer():
                cell = _RECURRENT[layer.type]
                states = cell(layer.units, return_sequences=place < last_recurrent)(states)
            case DropoutLayer():
                states = keras.layers.Dropout(layer.rate)(states)
            case DenseLayer():
                states = keras.layers.Dense(layer.units, activation=layer.activation)(states)

    if options.head == "softmax":
        output = keras.layers.Dense(n_items + 1, activation="softmax", name="next_item")(states)
    else:
        output = keras.layers.Dense(vector_dimension, name="next_vector")(states)
    return keras.Model(history, output)
