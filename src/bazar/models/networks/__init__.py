"""Recurrent networks. Only the modules of this package import TensorFlow and Keras."""
