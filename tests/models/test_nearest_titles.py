"""Search indices of title vectors."""

import hypothesis.extra.numpy as arrays
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bazar.models.nearest_titles import TitleIndex

VALUES = st.sampled_from([np.float32(value) for value in (0.0, -0.0, 0.5, -0.5, 1.0)])


@given(arrays.arrays(np.float32, st.tuples(st.integers(1, 12), st.just(2)), elements=VALUES))
def test_equal_vectors_have_the_cosine_of_the_first(vectors: np.ndarray) -> None:
    index = TitleIndex(vectors)
    points = np.random.default_rng(0).normal(size=(3, 2)).astype(np.float32)
    cosines = index.compute_cosines(points)
    _, first, group = np.unique(vectors, axis=0, return_index=True, return_inverse=True)
    np.testing.assert_array_equal(cosines, cosines[:, first[group]])
    is_titled = vectors.any(axis=1)
    np.testing.assert_allclose(cosines[:, is_titled], (points @ vectors.T)[:, is_titled], rtol=1e-5)
    assert np.isneginf(cosines[:, ~is_titled]).all()
