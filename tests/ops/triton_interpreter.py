"""Correct bfloat16 and faster execution for the interpreter of Triton 3.8, for tests only.

Its casts to bfloat16 truncate, while hardware rounds to nearest even. Its arithmetic treats the 16
bits as integers.
"""

from __future__ import annotations

import functools
import math
from dataclasses import replace
from typing import Any

import numpy as np
import triton.language as tl
from triton.runtime import interpreter

from fastgan.ops.filtered_lrelu import fused_triton
from fastgan.ops.upfirdn2d import triton as upfirdn2d


def _to_bfloat16(values: np.ndarray) -> np.ndarray:
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    rounded = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
    return np.where(np.isnan(values), np.uint16(0x7FC0), rounded)


def _to_float32(bits: np.ndarray) -> np.ndarray:
    return (bits.astype(np.uint32) << 16).view(np.float32)


def apply() -> None:
    _round_bfloat16()
    _hurry()


def _round_bfloat16() -> None:
    builder = interpreter.InterpreterBuilder
    cast, fp_to_fp, dot, binary = (
        builder.cast_impl, builder.create_fp_to_fp, builder.create_dot, builder.binary_op,
    )  # fmt: skip

    def converted(self, source, target, otherwise):
        have, want = source.dtype.scalar, target.scalar
        if have == tl.bfloat16 and want != tl.bfloat16 and want.is_floating():
            return cast(
                self, interpreter.TensorHandle(_to_float32(source.data), tl.float32), target
            )
        if want == tl.bfloat16 and have in (tl.float16, tl.float32, tl.float64):
            return interpreter.TensorHandle(
                _to_bfloat16(source.data.astype(np.float32)), tl.bfloat16
            )
        return otherwise()

    def cast_impl(self, source, target):
        return converted(self, source, target, lambda: cast(self, source, target))

    def create_fp_to_fp(self, source, target, rounding):
        return converted(self, source, target, lambda: fp_to_fp(self, source, target, rounding))

    def create_dot(self, a, b, d, precision, imprecise):
        def widened(t):
            if t.dtype.scalar != tl.bfloat16:
                return t
            return interpreter.TensorHandle(_to_float32(t.data), tl.float32)

        return dot(self, widened(a), widened(b), d, precision, imprecise)

    def binary_op(self, left, right, op):
        if left.dtype.scalar == tl.bfloat16 and right.dtype.scalar == tl.bfloat16:
            out = op(_to_float32(left.data), _to_float32(right.data))
            if out.dtype == np.bool_:
                return interpreter.TensorHandle(out, tl.int1)
            return interpreter.TensorHandle(_to_bfloat16(out), tl.bfloat16)
        return binary(self, left, right, op)

    builder.cast_impl, builder.create_fp_to_fp = cast_impl, create_fp_to_fp
    builder.create_dot, builder.binary_op = create_dot, binary_op


def _hurry() -> None:
    """Skip the most expensive parts of the interpreter; results are the same."""
    # The time depends on the number of operations, hardly on their width.
    upfirdn2d.BLOCK, upfirdn2d.TILE = (1024, 16384)
    fused_triton.ITEMS, fused_triton.COLUMNS = (64, 256)

    # By default, three more operations check every integer operation for overflow, like a GPU's
    # debug mode.
    interpreter.interpreter_builder.options = replace(
        interpreter.interpreter_builder.options, sanitize_overflow=False
    )
    numpy_type = interpreter._get_np_dtype
    known = functools.cache(numpy_type)
    interpreter._get_np_dtype = lambda t: known(t) if type(t) is tl.dtype else numpy_type(t)

    _keep_types()

    # Each call between jitted functions replaces the content of triton.language. Once per module is
    # enough.
    done: set[str] = set()

    def call(self, *args: Any, **kwargs: Any) -> Any:
        if self.fn.__module__ not in done:
            done.add(self.fn.__module__)
            interpreter._patch_lang(self.fn)
        return self.rewrite()(*args, **kwargs)

    interpreter.InterpretedFunction.__call__ = call


def _keep_types() -> None:
    """Create each block type once; the interpreter creates several per operation."""
    core, semantic = tl.core, interpreter.TritonSemantic
    block_type, type_of_values = core.block_type, core._type_for_tuple_values
    init, broadcast = core.block_type.__init__, semantic.broadcast_impl_value
    blocks: dict[tuple[str, tuple[int, ...]], dict[str, Any]] = {}

    def init_block_type(self, element_ty, shape):
        known = blocks.get(
            (element_ty.name, tuple(shape.values if type(shape) is core.tuple else shape))
        )
        if known is not None:
            self.__dict__ = known
            return
        init(self, element_ty, shape)
        blocks[element_ty.name, tuple(self.shape.values)] = self.__dict__

    @functools.cache
    def sizes(*shape):
        return core.tuple([core.constexpr(n) for n in shape]), core.constexpr(math.prod(shape))

    def init_tensor(self, handle, type):
        self.handle, self.type, self.dtype = handle, type, type.scalar
        self.shape, self.numel = sizes(*(type.shape.values if type.is_block() else ()))

    def broadcast_impl_value(self, lhs, rhs):
        a, b = lhs.type, rhs.type
        if a.is_block() and b.is_block() and a.shape.values == b.shape.values:
            return lhs, rhs
        return broadcast(self, lhs, rhs)

    unnamed = core.tuple_type([])  # only the compiler needs the types of tuples

    def type_for_tuple_values(values, fields=None):
        return type_of_values(values, fields) if fields else unnamed

    block_type.__init__, core.tensor.__init__ = init_block_type, init_tensor
    semantic.broadcast_impl_value, core._type_for_tuple_values = (
        broadcast_impl_value,
        type_for_tuple_values,
    )
