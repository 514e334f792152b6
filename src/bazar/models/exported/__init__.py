"""Trained networks as NumPy arrays. They are scored without TensorFlow and Keras."""
