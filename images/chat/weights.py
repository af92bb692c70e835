"""Makes the model's weights from a seed: the same ones everywhere, without a download.

They are drawn, not trained: the model computes what a transformer computes, and says nothing that means anything.
"""

import numpy as np

SEED = 2026


def make(shapes, seed=SEED):
    """{name: float32 array} for {name: shape}. Uniform, with the variance 1 / (size of the second-last axis)."""
    made = {}
    start = seed << 32
    for name, shape in shapes.items():
        count = int(np.prod(shape))
        fan_in = shape[-2] if len(shape) > 1 else shape[-1]
        made[name] = ((uniform(start, count) - 0.5) * np.sqrt(12.0 / fan_in)).astype(np.float32).reshape(shape)
        start += count
    return made


def uniform(start, count):
    """Numbers start .. start + count of a sequence, each in [0, 1): splitmix64, by Steele, Lea and Flood (2014).

    In whole numbers to the last step, so that every machine and every release of numpy makes the same.
    """
    with np.errstate(over="ignore"):
        z = np.arange(start + 1, start + count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return (z >> np.uint64(11)).astype(np.float64) * 2.0**-53
