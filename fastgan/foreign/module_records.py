"""Tensors and settings of a pickled network, by the names of its modules."""

from __future__ import annotations

import re
import warnings
from typing import Any

from torch import Tensor

from fastgan.foreign.errors import Refusal, describe
from fastgan.foreign.pickle_values import Record

MAX_ENTRIES = 10_000
"""Largest number of parameters, buffers and modules of one network together."""

_GROUPS = ("synthesis_kwargs", "mapping_kwargs", "epilogue_kwargs", "block_kwargs")


class ModuleRecords:
    """Tensors and submodules of a record by dotted name, with access to their settings."""

    def __init__(self, record: Record, path: str) -> None:
        self.path, self.tensors, self.records = path, {}, {}
        todo, entries = [("", record)], 0
        while todo:
            prefix, module = todo.pop()
            self.records[prefix.rstrip(".")] = module
            for part in ("_parameters", "_buffers", "_modules"):
                for name, value in plain_dict(module.state.get(part)).items():
                    entries += 1
                    if entries > MAX_ENTRIES or len(name) > 64:
                        raise Refusal(
                            "it has more, or longer named, tensors and modules than any network"
                        )
                    if part == "_modules" and isinstance(value, Record):
                        todo.append((f"{prefix}{name}.", value))
                    elif part != "_modules" and isinstance(value, Tensor):
                        self.tensors[prefix + name] = value
                    elif value is not None:
                        raise Refusal(
                            f"its {describe(prefix + name)} is {describe(value)}, no tensor or "
                            f"module"
                        )

    tensors: dict[str, Tensor]
    records: dict[str, Record]

    def shape(self, name: str, ndim: int) -> list[int]:
        if name not in self.tensors or self.tensors[name].ndim != ndim:
            raise Refusal(
                f"it has no tensor {name!r} of {ndim} dimensions, so it is no network of a known "
                f"layout"
            )
        return list(self.tensors[name].shape)

    def setting(
        self, names: tuple[str, ...], modules: tuple[str, ...], default: Any, *, warn: bool = True
    ) -> Any:
        """Find the first of ``names`` among attributes and arguments of modules, then the network.

        Args:
            names: names of the setting.
            modules: modules to search first.
            default: value to use if there is no such setting.
            warn: warn where the default is used.
        """
        places: list[dict[str, Any]] = []
        for module in modules:
            if module in self.records:
                places.append(self.records[module].state)
                places += arguments(self.records[module])
        places += arguments(self.records[""])
        for place in places:
            for name in names:
                if name in place:
                    return _number(place[name], name)
        if warn:
            warnings.warn(
                f"{self.path!r} doesn't state {names[-1]}: {default!r} is used.", stacklevel=2
            )
        return default

    def mapping(self) -> tuple[int, int, int, float]:
        """Return input features without the label, length of labels, layers and learning rate."""
        layers = sum(1 for name in self.tensors if re.fullmatch(r"mapping\.fc\d+\.weight", name))
        features = self.shape("mapping.fc0.weight", 2)[1]
        c_dim = 0
        if "mapping.embed.weight" in self.tensors:
            embedded, c_dim = self.shape("mapping.embed.weight", 2)
            features -= embedded
        rate = self.setting(("bias_gain", "lr_multiplier"), ("mapping.fc0", "mapping"), 0.01)
        return features, c_dim, layers, rate


def arguments(record: Record) -> list[dict[str, Any]]:
    """Return the constructor arguments of a module and the groups for its parts, at most 8."""
    groups = [plain_dict(record.state.get("_init_kwargs"))]
    for group in groups:
        groups += [group[name] for name in _GROUPS if type(group.get(name)) is dict][
            : 8 - len(groups)
        ]
    return groups


def plain_dict(value: Any) -> dict[str, Any]:
    return value if type(value) is dict else {}


def _number(value: Any, name: str) -> int | float | None:
    if value is not None and (type(value) not in (int, float) or not -1e9 < value < 1e9):
        raise Refusal(f"its {name} is {describe(value)}, no number that fits")
    number: int | float | None = value
    return number
