"""Tile sizes of the fused modulated convolution, by architecture and shape class.

Those of sm_90 for 3x3 were measured on an H100 with Triton 3.6 (docs/internals/performance.md).
ALL OTHERS ARE NOT MEASURED but reasoned from the sizes of registers and shared memory and from
the number of programs that a GPU needs.
``fastgan.ops.modulated_conv2d.triton.tune`` measures on a GPU and returns an entry to put in their place.
"""

from __future__ import annotations

import math
from typing import NamedTuple


class Config(NamedTuple):
    block_m: int  # pixels of one image
    block_n: int  # output channels
    block_k: int  # input channels of one tap
    num_warps: int
    num_stages: int  # tiles that are on their way at the same time


class Key(NamedTuple):
    arch: int  # family of compute capabilities: 80, 86, 90, 100; 0 for anything else
    kernel: int
    channels: int  # this and the next two rounded up to powers of two
    outs: int
    pixels: int  # of the whole batch
    bytes: int  # per element


#: Fits every GPU: 24 KB of shared memory per stage of 4-byte elements, 64 accumulators per thread.
DEFAULT = Config(128, 64, 32, 4, 3)

TABLE: dict[Key, Config] = {
    # few pixels: small tiles, or most multiprocessors have nothing to do; the time goes into reading the weights
    Key(80, 3, 512, 512, 128, 2): Config(16, 64, 64, 4, 4),
    Key(90, 3, 512, 512, 128, 2): Config(16, 32, 128, 4, 3),
    Key(100, 3, 512, 512, 128, 2): Config(16, 64, 128, 4, 4),
    Key(80, 3, 512, 512, 2048, 2): Config(64, 64, 64, 4, 4),
    Key(90, 3, 512, 512, 2048, 2): Config(64, 128, 64, 4, 3),
    Key(100, 3, 512, 512, 2048, 2): Config(64, 64, 64, 4, 4),
    # enough for one tile per multiprocessor
    Key(80, 3, 256, 256, 8192, 2): Config(128, 128, 32, 8, 4),
    Key(90, 3, 256, 256, 8192, 2): Config(128, 128, 64, 8, 3),
    Key(100, 3, 256, 256, 8192, 2): Config(128, 128, 64, 8, 4),
    # several tiles each: the widest that the registers hold (128×256 spills on sm_100)
    Key(80, 3, 512, 512, 32768, 2): Config(128, 128, 32, 8, 4),
    Key(90, 3, 512, 512, 32768, 2): Config(128, 256, 64, 8, 4),
    Key(100, 3, 512, 512, 32768, 2): Config(128, 128, 64, 8, 4),
    # large images of few channels
    Key(90, 3, 128, 128, 131072, 2): Config(128, 128, 64, 4, 4),
    # to colours: every pixel is read once and the few output channels leave tensor cores idle
    Key(80, 1, 256, 4, 32768, 2): Config(128, 16, 64, 4, 4),
    Key(90, 1, 256, 4, 32768, 2): Config(128, 16, 64, 4, 4),
    Key(100, 1, 256, 4, 32768, 2): Config(128, 16, 64, 4, 4),
    # between layers: as the kernel of 3×3, with a ninth of the steps
    Key(80, 1, 512, 512, 8192, 2): Config(128, 128, 32, 8, 3),
    Key(90, 1, 512, 512, 8192, 2): Config(128, 128, 64, 8, 3),
    Key(100, 1, 512, 512, 8192, 2): Config(128, 128, 64, 8, 3),
}


def power_of_two(n: int) -> int:
    return 1 << max(n - 1, 0).bit_length()


def family(capability: int) -> int:
    """The entry's architecture for a compute capability such as 89: what its shared memory and tensor cores are like."""
    if capability in (80, 87):
        return 80
    if 80 < capability < 90 or capability >= 120:  # 99 KB of shared memory
        return 86
    if capability >= 90:
        return capability // 10 * 10
    return 0


def key_of(capability: int, kernel: int, channels: int, outs: int, pixels: int, bytes: int) -> Key:
    channels, outs, pixels = (power_of_two(size) for size in (channels, outs, pixels))
    return Key(family(capability), kernel, channels, outs, pixels, bytes)


def lookup(key: Key, table: dict[Key, Config] | None = None) -> Config:
    """The entry of the nearest sizes, by their logarithms, of this architecture, kernel size and element; or the default."""
    table = TABLE if table is None else table

    def distance(other: Key) -> float:
        return sum(abs(math.log2(a / b)) for a, b in zip(key[2:5], other[2:5]))

    alike = [k for k in table if (k.arch, k.kernel, k.bytes) == (key.arch, key.kernel, key.bytes)]
    return table[min(alike, key=distance)] if alike else DEFAULT
