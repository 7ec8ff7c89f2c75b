"""Tile sizes of the fused modulated convolution, by architecture and shape class.

Those of sm_90 for 3x3 were measured on an H100 with Triton 3.6 (docs/internals/performance.md).
ALL OTHERS ARE NOT MEASURED. They follow from the sizes of registers and shared memory, and from the
number of programs that a GPU needs. ``fastgan.ops.modulated_conv2d.triton.tune`` measures on a GPU
and returns an entry to replace them.
"""

from __future__ import annotations

import math
from typing import NamedTuple


class Config(NamedTuple):
    """Tile sizes of a launch.

    Attributes:
        block_m: pixels of one image.
        block_n: output channels.
        block_k: input channels of one tap.
        num_warps: warps of a program.
        num_stages: tiles that are loaded at the same time.
    """

    block_m: int
    block_n: int
    block_k: int
    num_warps: int
    num_stages: int


class Key(NamedTuple):
    """Class of convolutions that share a configuration; sizes are powers of two.

    Attributes:
        arch: family of compute capabilities: 80, 86, 90 or 100; 0 for anything else.
        kernel: height and width of the kernel.
        channels: input channels, rounded up.
        outs: output channels, rounded up.
        pixels: pixels of the whole batch, rounded up.
        bytes: bytes per element.
    """

    arch: int
    kernel: int
    channels: int
    outs: int
    pixels: int
    bytes: int


#: Tile sizes that fit every GPU: 24 KB of shared memory per stage of 4-byte elements, and 64
#: accumulators per thread.
DEFAULT = Config(128, 64, 32, 4, 3)

TABLE: dict[Key, Config] = {
    # Few pixels: small tiles keep more multiprocessors busy. Reading the weights takes the time.
    Key(80, 3, 512, 512, 128, 2): Config(16, 64, 64, 4, 4),
    Key(90, 3, 512, 512, 128, 2): Config(16, 32, 128, 4, 3),
    Key(100, 3, 512, 512, 128, 2): Config(16, 64, 128, 4, 4),
    Key(80, 3, 512, 512, 2048, 2): Config(64, 64, 64, 4, 4),
    Key(90, 3, 512, 512, 2048, 2): Config(64, 128, 64, 4, 3),
    Key(100, 3, 512, 512, 2048, 2): Config(64, 64, 64, 4, 4),
    # Enough pixels for one tile per multiprocessor.
    Key(80, 3, 256, 256, 8192, 2): Config(128, 128, 32, 8, 4),
    Key(90, 3, 256, 256, 8192, 2): Config(128, 128, 64, 8, 3),
    Key(100, 3, 256, 256, 8192, 2): Config(128, 128, 64, 8, 4),
    # Several tiles each: the widest tile that the registers hold (128×256 spills on sm_100).
    Key(80, 3, 512, 512, 32768, 2): Config(128, 128, 32, 8, 4),
    Key(90, 3, 512, 512, 32768, 2): Config(128, 256, 64, 8, 4),
    Key(100, 3, 512, 512, 32768, 2): Config(128, 128, 64, 8, 4),
    # Large images of few channels.
    Key(90, 3, 128, 128, 131072, 2): Config(128, 128, 64, 4, 4),
    # To colours: every pixel is read once, and few output channels leave tensor cores idle.
    Key(80, 1, 256, 4, 32768, 2): Config(128, 16, 64, 4, 4),
    Key(90, 1, 256, 4, 32768, 2): Config(128, 16, 64, 4, 4),
    Key(100, 1, 256, 4, 32768, 2): Config(128, 16, 64, 4, 4),
    # Between layers: as the kernel of 3×3, with a ninth of the steps.
    Key(80, 1, 512, 512, 8192, 2): Config(128, 128, 32, 8, 3),
    Key(90, 1, 512, 512, 8192, 2): Config(128, 128, 64, 8, 3),
    Key(100, 1, 512, 512, 8192, 2): Config(128, 128, 64, 8, 3),
}


def power_of_two(n: int) -> int:
    """Return the least power of two that is at least ``n``."""
    return 1 << max(n - 1, 0).bit_length()


def family(capability: int) -> int:
    """Return the family of a compute capability such as 89.

    A family has similar shared memory and tensor cores.
    """
    if capability in (80, 87):
        return 80
    # These have 99 KB of shared memory.
    if 80 < capability < 90 or capability >= 120:
        return 86
    if capability >= 90:
        return capability // 10 * 10
    return 0


def key_of(capability: int, kernel: int, channels: int, outs: int, pixels: int, bytes: int) -> Key:
    channels, outs, pixels = (power_of_two(size) for size in (channels, outs, pixels))
    return Key(family(capability), kernel, channels, outs, pixels, bytes)


def lookup(key: Key, table: dict[Key, Config] | None = None) -> Config:
    """Return the entry of the nearest sizes, by their logarithms, or the default.

    Entries of another architecture, kernel size or element size don't count.
    """
    table = TABLE if table is None else table

    def distance(other: Key) -> float:
        return sum(abs(math.log2(a / b)) for a, b in zip(key[2:5], other[2:5]))

    alike = [k for k in table if (k.arch, k.kernel, k.bytes) == (key.arch, key.kernel, key.bytes)]
    return table[min(alike, key=distance)] if alike else DEFAULT
