"""Recurrent networks. In ``bazar.models``, only this package imports TensorFlow and Keras."""

from bazar.models.networks.quiet_tensorflow import import_tensorflow

import_tensorflow()
