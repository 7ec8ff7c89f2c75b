"""Reader of pickles as data: nothing that a file names is imported, called or executed.

A pickle is a program for a stack machine that can call any function by its name. This machine runs
the instructions that build numbers, text and containers. It looks a name up in a table of builders
of plain values, and refuses unknown names. It never recurses, and it counts instructions and bytes,
so that a small file can't make it work or allocate without end.
"""

from __future__ import annotations

import io
import pickletools
from collections.abc import Callable, Mapping
from typing import Any

from fastgan.foreign.errors import Refusal, describe

MAX_INSTRUCTIONS = 1_000_000
"""Largest number of instructions of one file. Networks have some ten thousand."""


class Budget:
    """Limits on the instructions and bytes for reading one file.

    Args:
        num_bytes: largest size of tensors and arrays together, which is the file's size.
    """

    def __init__(self, num_bytes: int) -> None:
        self.num_bytes, self.instructions = num_bytes, MAX_INSTRUCTIONS

    def instruction(self) -> None:
        self.instructions -= 1
        if self.instructions < 0:
            raise Refusal(
                f"it has more than {MAX_INSTRUCTIONS:,} instructions, which no network needs"
            )

    def allocate(self, num_bytes: int) -> None:
        self.num_bytes -= num_bytes
        if self.num_bytes < 0:
            raise Refusal("its tensors claim more bytes than the file has")


class Name:
    """A token for a global that the file names and the table of builders has.

    Args:
        full: name with its module.
        builder: function to run when the file calls it; None for a name that is an argument only.
    """

    __slots__ = ("builder", "full")

    def __init__(self, full: str, builder: Callable[..., Any] | None) -> None:
        self.full, self.builder = full, builder


class Buildable:
    """A value that the file creates first and fills later."""

    def build(self, state: Any) -> None:
        raise NotImplementedError


Builders = Mapping[str, Callable[..., Any] | None]
"""Functions that a file may call by full name; None for a name that it may only mention."""


def read_pickle(
    stream: io.BytesIO,
    builders: Builders,
    budget: Budget,
    *,
    persistent: Callable[[Any], Any] | None = None,
) -> Any:
    """Read the pickle at the current position of ``stream``, and leave the stream at its end.

    Args:
        stream: the file's content.
        builders: functions that the file may call.
        budget: limits, which are reduced.
        persistent: function that resolves a reference to something outside of the pickle; None to
            refuse references.

    Returns:
        The value of the pickle.

    Raises:
        Refusal: the file asks for something else, or for too much.
        ValueError: the file is damaged, truncated or no pickle.
        LookupError: the same.
        TypeError: the same.
    """
    machine = _Machine(builders, persistent)
    for opcode, argument, _ in pickletools.genops(stream):
        budget.instruction()
        if opcode.name == "STOP":
            return machine.stack.pop()
        if opcode.name in _LITERALS:
            machine.stack.append(argument)
        elif opcode.name in _INSTRUCTIONS:
            _INSTRUCTIONS[opcode.name](machine, argument)
        else:
            raise Refusal(
                f"it uses the pickle instruction {opcode.name}, which no network's file needs"
            )
    raise ValueError("it has no end")


class _Machine:
    def __init__(self, builders: Builders, persistent: Callable[[Any], Any] | None) -> None:
        self.builders, self.persistent = builders, persistent
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def mark(self, _: object) -> None:
        self.marks.append(self.stack)
        self.stack = []

    def since_mark(self) -> list[Any]:
        items, self.stack = self.stack, self.marks.pop()
        return items

    def top(self, kind: type) -> Any:
        """Return the top value, which must be exactly of this type: subclasses may run code."""
        if type(self.stack[-1]) is not kind:
            raise Refusal(f"it fills {describe(self.stack[-1])} as if it were a {kind.__name__}")
        return self.stack[-1]

    def pop(self, _: object) -> None:
        self.stack.pop()

    def pop_mark(self, _: object) -> None:
        self.since_mark()

    def put(self, index: int | None) -> None:
        self.memo[len(self.memo) if index is None else index] = self.stack[-1]

    def get(self, index: int) -> None:
        self.push(self.memo[index])

    def tuple(self, _: object) -> None:
        items = self.since_mark()
        self.push(tuple(items))

    def short_tuple(self, length: int) -> None:
        items = [self.stack.pop() for _ in range(length)]
        self.push(tuple(reversed(items)))

    def append(self, _: object) -> None:
        item = self.stack.pop()
        self.top(list).append(item)

    def appends(self, _: object) -> None:
        items = self.since_mark()
        self.top(list).extend(items)

    def additems(self, _: object) -> None:
        items = self.since_mark()
        self.top(set).update(map(text, items))

    def setitem(self, _: object) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self.top(dict)[text(key)] = value

    def setitems(self, _: object) -> None:
        items = self.since_mark()
        if len(items) % 2:
            raise ValueError("a key has no value")
        self.top(dict).update(zip(map(text, items[::2]), items[1::2]))

    def name(self, argument: str) -> None:
        module, _, attribute = argument.partition(" ")
        self.find(module, attribute)

    def stack_name(self, _: object) -> None:
        attribute, module = self.stack.pop(), self.stack.pop()
        self.find(text(module), text(attribute))

    def find(self, module: str, attribute: str) -> None:
        full = f"{module}.{attribute}"
        if full not in self.builders:
            raise Refusal(f"it asks for {describe(full)}{_advice(full)}")
        self.push(Name(full, self.builders[full]))

    def call(self, _: object) -> None:
        arguments, called = self.stack.pop(), self.stack.pop()
        if type(called) is not Name or called.builder is None:
            what = called.full if type(called) is Name else describe(called)
            raise Refusal(f"it calls {what}, which can't be called")
        if type(arguments) is not tuple:
            raise Refusal(
                f"it calls {called.full} with {describe(arguments)} in place of arguments"
            )
        self.push(called.builder(*arguments))

    def build(self, _: object) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if isinstance(target, Buildable):
            target.build(state)
        # A dict's state is the attributes of a subclass, which are no part of the data.
        elif type(target) is not dict:
            raise Refusal(f"it sets the state of {describe(target)}")

    def reference(self, _: object) -> None:
        if self.persistent is None:
            raise Refusal("it refers to something outside of the file")
        self.push(self.persistent(self.stack.pop()))


def text(value: Any) -> str:
    """Return ``value`` if it is a string; keys of other types may collide or nest without end."""
    if type(value) is not str:
        raise Refusal(f"it has {describe(value)} where only text belongs")
    return value


def _advice(name: str) -> str:
    if name.startswith("dnnlib.tflib."):
        return (
            ", so it is a TensorFlow network: convert it to PyTorch first, with the legacy "
            "converter of StyleGAN2-ADA's or StyleGAN3's PyTorch code"
        )
    return ", which is no part of a network"


_LITERALS = {
    "BININT",
    "BININT1",
    "BININT2",
    "LONG1",
    "LONG4",
    "BINFLOAT",
    "BINUNICODE",
    "SHORT_BINUNICODE",
    "BINUNICODE8",
    "BINBYTES",
    "SHORT_BINBYTES",
    "BINBYTES8",
}

_INSTRUCTIONS: dict[str, Callable[[_Machine, Any], None]] = {
    "PROTO": lambda machine, _: None,
    "FRAME": lambda machine, _: None,
    "NONE": lambda machine, _: machine.push(None),
    "NEWTRUE": lambda machine, _: machine.push(True),
    "NEWFALSE": lambda machine, _: machine.push(False),
    "EMPTY_TUPLE": lambda machine, _: machine.push(()),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "EMPTY_SET": lambda machine, _: machine.push(set()),
    "TUPLE1": lambda machine, _: machine.short_tuple(1),
    "TUPLE2": lambda machine, _: machine.short_tuple(2),
    "TUPLE3": lambda machine, _: machine.short_tuple(3),
    "MARK": _Machine.mark,
    "POP": _Machine.pop,
    "POP_MARK": _Machine.pop_mark,
    "TUPLE": _Machine.tuple,
    "APPEND": _Machine.append,
    "APPENDS": _Machine.appends,
    "ADDITEMS": _Machine.additems,
    "SETITEM": _Machine.setitem,
    "SETITEMS": _Machine.setitems,
    "BINPUT": _Machine.put,
    "LONG_BINPUT": _Machine.put,
    "MEMOIZE": _Machine.put,
    "BINGET": _Machine.get,
    "LONG_BINGET": _Machine.get,
    "GLOBAL": _Machine.name,
    "STACK_GLOBAL": _Machine.stack_name,
    "REDUCE": _Machine.call,
    "NEWOBJ": _Machine.call,
    "BUILD": _Machine.build,
    "BINPERSID": _Machine.reference,
}
