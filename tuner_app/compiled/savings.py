"""What XLA saves on a CPU, and what its compilation costs, by the layers of a model.

Owns the numbers of engine rule 3: they were measured, and are never measured anew, since a search's results depend on
the choice. Two cores (AMD EPYC), two fits side by side, seconds of both together; `benchmarks/zoo.py --parts` shows
the same. Training steps for which both engines take as long, measured / as said here: one layer of 32 nodes 11,000 /
13,000, of 512 2,200 / 2,200, of 2,048 900 / 600, 16 nodes in batches of 16 23,000 / 20,000, three layers with BatchNorm
3,200 / 3,000, an embedding of 640,000 numbers 3,500 / 1,800, LSTM 630 / 500, bidirectional GRU 260 / 400, two blocks of
a transformer 590 / 1,100; attention without normalization: never / 90,000.
"""

from __future__ import annotations

import keras
import numpy as np

from tuner_app.compiled import private
from tuner_app.models.preprocessing import Standardization

layers = keras.layers

CELLS = (layers.SimpleRNNCell, layers.GRUCell, layers.LSTMCell)
"""The cells of recurrent layers."""

_RECURRENT = (layers.SimpleRNN, layers.GRU, layers.LSTM)
_NORMALIZATIONS = (layers.BatchNormalization, layers.LayerNormalization)
_DENSE = (layers.Dense, layers.Embedding, Standardization)
# Measured: nothing is saved, but nothing lost either.
_ATTENTION = (layers.MultiHeadAttention, layers.EinsumDense, layers.Softmax)
_PLAIN = (
    *(layers.Activation, layers.ReLU, layers.LeakyReLU, layers.Dropout, layers.Rescaling),
    *(layers.Flatten, layers.Reshape, layers.Concatenate, layers.Add, layers.Bidirectional),
    *(layers.GlobalAveragePooling1D, layers.GlobalAveragePooling2D, layers.GlobalMaxPooling1D),
)
_MEASURED = (*_RECURRENT, *CELLS, *_NORMALIZATIONS, *_DENSE, *_ATTENTION, *_PLAIN)

# Seconds that XLA takes to compile, beyond those of a plain graph: in any case, and for each layer.
_COMPILING, _COMPILING_EACH = 0.6, 0.3
# Seconds of a step that XLA saves: in calling a layer's operations one by one, in the optimizer's passes over each
# trainable number, in a normalization's passes over each of its outputs, in the loop over time of a recurrent layer.
_EACH_LAYER, _EACH_PARAMETER, _EACH_NORMALIZED, _EACH_RECURRENT = 30e-6, 1.2e-9, 25e-9, 3e-3


def pays_back(model: keras.Model, steps: int, batch_size: int) -> bool:
    """Whether XLA saves more than its compilation costs; never for layers that were not measured.

    Args:
        model: A built model.
        steps: The training steps of all fits that share the program.
        batch_size: The rows of a step.
    """
    parts = [layer for layer in private.layers_of(model) if not isinstance(layer, keras.Model | layers.InputLayer)]
    if not all(isinstance(layer, _MEASURED) for layer in parts):
        return False
    parameters = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    saved = _EACH_PARAMETER * parameters + sum(_saved(layer, batch_size) for layer in parts)
    return steps * saved >= _COMPILING + _COMPILING_EACH * len(parts)


def _saved(layer: keras.layers.Layer, batch_size: int) -> float:
    """Seconds that XLA saves in a step of a layer, but for its optimizer."""
    if isinstance(layer, _RECURRENT):
        return _EACH_RECURRENT
    if isinstance(layer, _NORMALIZATIONS):
        shapes = [shape[1:] for shape in private.output_shapes_of(layer)]
        return batch_size * _EACH_NORMALIZED * sum(int(np.prod(shape)) for shape in shapes if None not in shape)
    return _EACH_LAYER if isinstance(layer, _DENSE) else 0.0
