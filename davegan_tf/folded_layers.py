"""A trained network as plain arrays for a runtime of one's own: convolutions alone, and few bits a weight.

Batch normalisation is folded into the convolution before it, and every layer, transposed or not, becomes the same
loop: an output pixel is a sum over a small window of the padded input. A transposed convolution of stride 2 is four
convolutions of 2 × 2, one for every parity of the output's row and column.
"""

from typing import NamedTuple

import keras
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


class FoldedLayer(NamedTuple):
    """One convolution.

    kernel : (parities, parities, taps, taps, in, out) float64
        Output pixel (parities · m + p, parities · n + q) sees the window of taps × taps pixels of the padded input
        whose upper left corner is :meth:`corner` of (m, p) and (n, q), weighted by ``kernel[p, q]``.
    bias : (out,) float64
    step : int, pixels of the input from one m to the next
    padding : int, zeros around the input on all sides
    slope : float, of the leaky ReLU behind it; 1: none
    """

    kernel: np.ndarray
    bias: np.ndarray
    step: int
    padding: int
    slope: float

    def corner(self, m, parity):
        """Row, or column, of the padded input where a window begins."""
        return self.step * m + (parity if self.kernel.shape[0] == 2 else 0)


def fold(stack):
    """The layers of a network of :mod:`davegan_tf.networks` as at inference.

    Parameters
    ----------
    stack : keras.Sequential
        Convolutions 4 × 4: stride 2 with padding "same", or stride 1 with "valid" on 4 × 4 pixels; transposed stride 2
        with "same", or stride 1 with "valid" on one pixel.

    Returns
    -------
    list of FoldedLayer
    """
    layers = []
    for layer in stack.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            last = layers.pop()
            variance = np.float64(layer.moving_variance)
            gain = np.float64(layer.gamma) / np.sqrt(variance + layer.epsilon)
            bias = (last.bias - np.float64(layer.moving_mean)) * gain + np.float64(layer.beta)
            layers.append(last._replace(kernel=last.kernel * gain, bias=bias))
        elif isinstance(layer, keras.layers.LeakyReLU):
            layers.append(layers.pop()._replace(slope=float(layer.negative_slope)))
        else:
            layers.append(_convolution(layer))
    return layers


def _convolution(layer):
    transposed = isinstance(layer, keras.layers.Conv2DTranspose)
    kernel, stride = np.float64(layer.kernel), layer.strides[0]
    if not transposed:
        kernel = kernel[np.newaxis, np.newaxis]
    elif stride == 2:
        # Row 2m + p of the output: "same" crops one row above, so row i of the input meets it through
        # row 2m + p + 1 − 2i of the kernel. Of the window's rows i = m + p + t − 1, t is 0 or 1.
        rows = 3 - np.arange(2)[:, np.newaxis] - 2 * np.arange(2)
        grid = rows[:, np.newaxis, :, np.newaxis], rows[np.newaxis, :, np.newaxis, :]
        kernel = kernel[grid].swapaxes(-1, -2)
    else:
        kernel = kernel.swapaxes(-1, -2)[:, :, np.newaxis, np.newaxis]
    bias = np.float64(layer.bias) if layer.use_bias else np.zeros(kernel.shape[-1])
    step = 1 if transposed else stride
    return FoldedLayer(kernel, bias, step, int(layer.padding == "same"), 1.0)


def run_folded(layers, inputs):
    """The network of these layers in float64: (n, side, side, in) → (n, side, side, out), logits or features."""
    values = np.asarray(inputs, np.float64)
    for layer in layers:
        parities, _, taps = layer.kernel.shape[:3]
        around = (layer.padding, layer.padding)
        padded = np.pad(values, ((0, 0), around, around, (0, 0)))
        windows = sliding_window_view(padded, (taps, taps), axis=(1, 2))
        side = (windows.shape[1] - layer.corner(0, parities - 1) - 1) // layer.step + 1
        count, width = len(values), parities * side
        values = np.empty((count, width, width, len(layer.bias)))
        for p in range(parities):
            for q in range(parities):
                rows, columns = (
                    slice(layer.corner(0, parity), layer.corner(side - 1, parity) + 1, layer.step)
                    for parity in (p, q)
                )
                values[:, p::parities, q::parities] = np.tensordot(
                    windows[:, rows, columns], layer.kernel[p, q], axes=((4, 5, 3), (0, 1, 2))
                )
        values += layer.bias
        values = np.where(values < 0, layer.slope * values, values)
    return values


def quantize(layer, bits):
    """A layer's weights as integers, with a scale of its own for every output channel.

    Parameters
    ----------
    layer : FoldedLayer
    bits : int, 2 … 32

    Returns
    -------
    codes : kernel's shape, uint32 below 2 ** bits
    scale : (out,) float32
        A weight is about (code − 2 ** (bits − 1)) · scale, off by half a scale at most.
    """
    middle = 2 ** (bits - 1)
    largest = np.abs(layer.kernel).max(axis=(0, 1, 2, 3, 4))
    scale = (np.where(largest > 0, largest, 1) / (middle - 1)).astype(np.float32)
    # A scale rounded down would not reach the largest weight.
    scale = np.nextafter(scale, np.float32(np.inf))
    return (np.rint(layer.kernel / scale) + middle).astype(np.uint32), scale


def dequantize(codes, scale, bits):
    """What :func:`quantize` made as a kernel again, float64."""
    return (codes.astype(np.float64) - 2 ** (bits - 1)) * scale.astype(np.float64)
