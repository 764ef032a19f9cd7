"""The log-mel spectrogram of a second of sound, as FSD50K is learned from.

Written with SciPy rather than librosa, which brings a compiler of 200 MB; a test compares the two.
"""

from functools import cache

import numpy as np
import scipy.fft
import scipy.signal

from dashnas.data.tables import Array

RATE = 22050
"""Samples per second."""
BANDS = 96
FRAMES = 101
"""Of a second."""
_FFT = 1920
_WINDOW = int(0.03 * RATE)
_HOP = int(0.01 * RATE)
_FLOOR = 1e-10
_RANGE = 80.0
"""Largest difference between two values, in decibels."""


def log_mel(sound: Array) -> Array:
    """Power in 96 bands of the HTK mel scale every 10 ms, in decibels, less its mean.

    Args:
        sound: shape (samples,), at 22,050 a second.

    Returns:
        Shape (96, 1 + samples // 220), float32.
    """
    padded = np.pad(sound.astype(np.float64), _FFT // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FFT)[::_HOP]
    power = np.abs(scipy.fft.rfft(frames * _window())) ** 2  # (frames, _FFT // 2 + 1)
    decibels = 10 * np.log10(np.maximum(_filters() @ power.T, _FLOOR))
    decibels = np.maximum(decibels, decibels.max() - _RANGE)
    spectrogram: Array = (decibels - decibels.mean()).astype(np.float32)
    return spectrogram


@cache
def _window() -> Array:
    """Of 30 ms, in the middle of a frame."""
    before = (_FFT - _WINDOW) // 2
    window: Array = scipy.signal.get_window("hann", _WINDOW)
    return np.pad(window, (before, _FFT - _WINDOW - before))


@cache
def _filters() -> Array:
    """Triangles over the mel scale, each with the peak 1: (bands, _FFT // 2 + 1)."""
    frequencies = np.fft.rfftfreq(_FFT, 1 / RATE)
    top = 2595 * np.log10(1 + RATE / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, BANDS + 2) / 2595) - 1)
    low, centre, high = (edges[i : i + BANDS, None] for i in range(3))
    rising, falling = (frequencies - low) / (centre - low), (high - frequencies) / (high - centre)
    return np.maximum(np.minimum(rising, falling), 0)
