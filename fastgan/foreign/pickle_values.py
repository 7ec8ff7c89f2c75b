"""Plain values for the parts of pickled networks: modules, tensors, numpy numbers and arrays."""

from __future__ import annotations

import functools
import io
import math
import re
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fastgan.foreign.errors import Refusal, describe
from fastgan.foreign.pickles import Budget, Buildable, Builders, Name, read_pickle, text

# Header of torch's format for the storage inside a pickled tensor.
LEGACY_MAGIC, LEGACY_PROTOCOL = 0x1950A86A20F9469CFC6C, 1001

STORAGES = {
    f"torch.{name}Storage": dtype
    for name, dtype in {
        "Float": torch.float32,
        "Half": torch.float16,
        "BFloat16": torch.bfloat16,
        "Double": torch.float64,
        "Long": torch.int64,
        "Int": torch.int32,
        "Short": torch.int16,
        "Char": torch.int8,
        "Byte": torch.uint8,
    }.items()
}


@dataclass(frozen=True, eq=False, repr=False)
class Record:
    """A pickled module without its source code, which was dropped unread."""

    class_name: str
    """Name of the class."""
    state: dict[str, Any]
    """Attributes of the module."""


def builders(budget: Budget) -> Builders:
    """Return the functions that the pickle of an official network may call."""
    table: dict[str, Any] = {
        "torch_utils.persistence._reconstruct_persistent_obj": record,
        "dnnlib.util.EasyDict": empty_dict,
        "collections.OrderedDict": empty_dict,
        "builtins.set": set_of_texts,
        "__builtin__.set": set_of_texts,
        "torch._utils._rebuild_tensor_v2": rebuild_tensor,
        "torch._utils._rebuild_parameter": rebuild_parameter,
        "torch.storage._load_from_bytes": functools.partial(load_storage, budget=budget),
        "numpy.dtype": DType,
        "numpy.ndarray": None,
    }
    for module in ("numpy.core.multiarray", "numpy._core.multiarray"):
        table |= {f"{module}.scalar": numpy_scalar, f"{module}._reconstruct": new_array}
    return table


def record(meta: Any) -> Record:
    """Build a module from its metadata: ``type``, ``class_name``, ``state`` and others."""
    if type(meta) is not dict or meta.get("type") != "class" or type(meta.get("state")) is not dict:
        raise Refusal("it has a persistent object that isn't described as a class with a state")
    return Record(text(meta.get("class_name")), meta["state"])


def empty_dict() -> dict[str, Any]:
    return {}


def set_of_texts(items: Any = ()) -> set[str]:
    if type(items) not in (list, tuple):
        raise Refusal(f"it makes a set of {describe(items)}")
    return set(map(text, items))


@dataclass(frozen=True)
class _Claim:
    """Description of a storage in a pickle, before its bytes are read."""

    dtype: torch.dtype
    key: str
    length: int


def load_storage(content: Any, *, budget: Budget) -> Tensor:
    """Read a storage in torch's legacy format: five pickles, then a length and the elements.

    Returns:
        A 1-D tensor.

    Raises:
        Refusal: the content is something else, or larger than the budget.
    """
    if type(content) is not bytes:
        raise Refusal(f"it makes a storage of {describe(content)}")
    budget.allocate(len(content))
    stream = io.BytesIO(content)
    read = functools.partial(read_pickle, stream, dict.fromkeys(STORAGES), budget)
    if read() != LEGACY_MAGIC or read() != LEGACY_PROTOCOL:
        raise Refusal("it has a storage of a format that isn't known")
    system = read()
    if type(system) is not dict or system.get("little_endian") is not True:
        raise Refusal("it has a storage whose bytes are in another order than this machine's")
    claim, keys = read(persistent=_claim), read()
    if (
        type(claim) is not _Claim
        or type(keys) is not list
        or len(keys) != 1
        or text(keys[0]) != claim.key
    ):
        raise Refusal("it has a storage that isn't one block of elements")
    (length,) = struct.unpack("<q", stream.read(8).ljust(8, b"\0"))
    data = stream.read()
    size = torch.empty((), dtype=claim.dtype).element_size()
    if length != claim.length or len(data) != length * size:
        raise Refusal(
            f"it has a storage that claims {claim.length:,} elements but has {len(data) // size:,}"
        )
    return (
        torch.frombuffer(bytearray(data), dtype=claim.dtype)
        if data
        else torch.empty(0, dtype=claim.dtype)
    )


def _claim(reference: Any) -> _Claim:
    if type(reference) is not tuple or len(reference) not in (5, 6) or reference[0] != "storage":
        raise Refusal("it has a reference that isn't to a storage")
    kind, key, length = reference[1], reference[2], reference[4]
    if type(kind) is not Name or any(part is not None for part in reference[5:]):
        raise Refusal("it has a storage of a type that isn't known, or that is a part of another")
    return _Claim(STORAGES[kind.full], text(key), _whole(length))


def rebuild_tensor(storage: Any, offset: Any, size: Any, stride: Any, *rest: Any) -> Tensor:
    """Return a view of ``storage``; ignore gradient flag, hooks and metadata in ``rest``."""
    if not isinstance(storage, Tensor) or type(size) is not tuple or type(stride) is not tuple:
        raise Refusal("it makes a tensor of something that is no storage and no shape")
    if len(size) != len(stride) or len(size) > 8 or len(rest) > 3:
        raise Refusal("it has a tensor with a shape that can't be")
    offset, size, stride = _whole(offset), [_whole(n) for n in size], [_whole(n) for n in stride]
    last = offset + sum((n - 1) * step for n, step in zip(size, stride))
    count = math.prod(size)
    # At most as many elements as the storage has, since strides of 0 would make terabytes.
    if count > len(storage) or (count and last >= len(storage)):
        raise Refusal(
            f"it has a tensor that reaches out of its storage of {len(storage):,} elements"
        )
    return storage.as_strided(size, stride, offset) if count else storage.new_empty(size)


def rebuild_parameter(data: Any, *rest: Any) -> Tensor:
    if not isinstance(data, Tensor) or len(rest) > 2:
        raise Refusal("it has a parameter that is no tensor")
    return data


class DType(Buildable):
    """A numpy dtype of numbers, since an array of objects could hold anything."""

    def __init__(self, code: Any = None, *_: Any) -> None:
        if type(code) is not str or not re.fullmatch(r"b1|[iu][1248]|f[248]|c8|c16", code):
            raise Refusal(f"it has a numpy array of type {describe(code)}, not of numbers")
        self.dtype = np.dtype(code)

    def build(self, state: Any) -> None:
        """Set the byte order from ``(version, byte order, parts, names, fields, …)``.

        Parts, names and fields must be None: they belong to types that aren't numbers.
        """
        if (
            type(state) is not tuple
            or len(state) < 5
            or any(part is not None for part in state[2:5])
        ):
            raise Refusal("it has a numpy array of a type that is put together of others")
        if state[1] not in ("<", ">", "|", "="):
            raise Refusal("it has a numpy array whose byte order isn't known")
        self.dtype = self.dtype.newbyteorder(state[1])


def numpy_scalar(kind: Any, data: Any) -> Any:
    """Return a numpy number as Python's."""
    if type(kind) is not DType or type(data) is not bytes or len(data) != kind.dtype.itemsize:
        raise Refusal("it has a numpy number that isn't one")
    return np.frombuffer(data, kind.dtype)[0].item()


class Array(Buildable):
    """A numpy array, which the file creates empty and then fills."""

    value = np.empty(0)

    def build(self, state: Any) -> None:
        """Fill the array from ``(version, shape, dtype, Fortran order, bytes)``."""
        if type(state) is not tuple or len(state) != 5 or type(state[1]) is not tuple:
            raise Refusal("it has a numpy array whose state isn't known")
        _, shape, kind, fortran, data = state
        if type(kind) is not DType or type(data) is not bytes:
            raise Refusal("it has a numpy array that isn't one of numbers")
        if len(shape) > 32 or math.prod(_whole(n) for n in shape) * kind.dtype.itemsize != len(
            data
        ):
            raise Refusal("it has a numpy array whose shape doesn't fit its bytes")
        self.value = np.frombuffer(data, kind.dtype).reshape(
            shape, order="F" if fortran is True else "C"
        )


def new_array(kind: Any, shape: Any, code: Any) -> Array:
    if type(kind) is not Name or kind.full != "numpy.ndarray":
        raise Refusal("it has a numpy array of a class that isn't known")
    return Array()


def _whole(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 2**48:
        raise Refusal("it has a size that isn't a whole number in range")
    return value
