"""Malicious and damaged pickles are refused in a sentence, quickly, and nothing in them runs."""

from __future__ import annotations

import collections
import pickle
import pickletools
import random
import struct
import time
import tracemalloc

import numpy as np
import pytest
import torch

from fastgan.compat.networks import read_networks
from fastgan.foreign import pickles
from fastgan.foreign.errors import CompatError, Refusal
from tests.compat import fake_official as fake

HEAD = b"\x80\x04"


def name(full: str) -> bytes:
    """Return the instruction that looks up a global."""
    module, _, attribute = full.rpartition(".")
    return b"c" + module.encode() + b"\n" + attribute.encode() + b"\n"


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def raw(value: bytes) -> bytes:
    return b"B" + struct.pack("<I", len(value)) + value


def record(state: bytes, class_name: str = "Generator") -> bytes:
    """Return instructions for a persistent object whose state the instructions `state` build."""
    meta = b"}" + text("type") + text("class") + b"s" + text("class_name") + text(class_name) + b"s"
    meta += text("state") + state + b"s"
    return name("torch_utils.persistence._reconstruct_persistent_obj") + meta + b"\x85R"


def g_ema(value: bytes) -> bytes:
    return HEAD + b"}" + text("G_ema") + value + b"s."


class Calls:
    """An object that is pickled as a call of any function."""

    def __init__(self, function, *arguments) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


CANARY = "open('canary', 'w').close()"


@pytest.mark.parametrize(
    ("full", "arguments"),
    [
        ("posix.system", text("touch canary")),
        ("builtins.exec", text(CANARY)),
        ("builtins.eval", text(CANARY)),
        ("builtins.getattr", text("x") + text("y")),
        ("builtins.__import__", text("canary")),
        ("importlib.import_module", text("canary")),
        ("subprocess.Popen", text("touch canary")),
        ("torch.load", text("canary")),
        ("torch.hub.load", text("canary")),
        ("torch.jit.load", text("canary")),
        ("torch.storage._load_from_bytes.__globals__", b""),
        ("torch._utils._rebuild_wrapper_subclass", b""),
        ("torch_utils.persistence.import_hook", b""),
        ("torch_utils.persistence.sys.modules", b""),
        ("numpy.load", text("canary")),
        ("numpy.core.multiarray.fromfile", text("canary")),
        ("functools.partial", b""),
        ("operator.attrgetter", text("x")),
        ("copyreg._reconstructor", b""),
        ("fastgan.compat.networks.save_network", b""),
    ],
)
@pytest.mark.parametrize("where", ["top", "state", "storage"])
def test_any_other_name_is_refused_with_its_full_name(refusal, full, arguments, where):
    call = name(full) + b"(" + arguments + b"tR"
    if where == "storage":
        inside = HEAD + call + b"."
        call = name("torch.storage._load_from_bytes") + raw(inside) + b"\x85R"
    content = g_ema(record(call)) if where == "state" else g_ema(call)
    assert f"refused, and nothing in it was run: it asks for {full!r}, which is no part" in refusal(
        content
    )
    # Newer protocols look names up on the stack, where an attribute may have dots.
    module, _, attribute = full.rpartition(".")
    stacked = g_ema(text(module) + text(attribute) + b"\x93)R")
    assert f"it asks for {full!r}" in refusal(stacked)


def test_a_call_written_by_pickle_itself(refusal):
    bomb = Calls(exec, CANARY)
    for value in ({"G_ema": bomb}, [bomb], {"G_ema": fake.Generator(8), "extra": {"x": (bomb,)}}):
        for protocol in (3, 4, 5):
            assert "exec'" in refusal(fake.dumps(value, protocol))
    # pickle itself runs the call, so the canary appears.
    pickle.loads(pickle.dumps(bomb))
    with pytest.raises(AssertionError, match="something in the file was run"):
        refusal(pickle.dumps(bomb, 4))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            name("collections.OrderedDict") + b"}" + text("x") + text("y") + b"sb",
            "sets the state of a Name",
        ),
        (
            name("torch_utils.persistence._reconstruct_persistent_obj") + b"}b",
            "sets the state of a Name",
        ),
        (record(b"}") + b"}" + text("state") + b"Nsb", "sets the state of a Record"),
        (b"]}b", "sets the state of a list"),
        (text("x") + b")R", "calls 'x', which can't be called"),
        (b"K\x01)R", "calls a int, which can't be called"),
        (name("numpy.ndarray") + b")R", "calls numpy.ndarray, which can't be called"),
        (name("collections.OrderedDict") + b"]R", "with a list in place of arguments"),
        (name("collections.OrderedDict") + b")\x81K\x01a", "fills a dict as if it were a list"),
        (b")K\x01a", "fills a tuple as if it were a list"),
        (b"(ios\nsystem\n", "instruction INST"),
        (b"(cos\nsystem\no", "it asks for 'os.system'"),
        (b"(" + name("builtins.set") + b"o", "instruction OBJ"),
        (b"\x82\x01", "instruction EXT1"),
        (b"Pcanary\n", "instruction PERSID"),
        (name("builtins.set") + b")}\x92", "instruction NEWOBJ_EX"),
        (text("x") + b"Q", "something outside of the file"),
        (b"\x96" + struct.pack("<Q", 3) + b"abc", "instruction BYTEARRAY8"),
        (b"I1\n", "instruction INT"),
        (b"}K\x01K\x02s", "has a int where only text belongs"),
        (b"\x8f(K\x01\x90", "has a int where only text belongs"),
        (name("builtins.set") + text("abc") + b"\x85R", "makes a set of 'abc'"),
        (record(b"N"), "isn't described as a class with a state"),
        (name("torch.storage._load_from_bytes") + text("x") + b"\x85R", "makes a storage of 'x'"),
        (name("torch._utils._rebuild_parameter") + b"N\x85R", "a parameter that is no tensor"),
        (name("torch._utils._rebuild_tensor_v2") + b"(NK\x00))tR", "no storage and no shape"),
    ],
)
def test_instructions_are_no_way_out(refusal, content, message):
    assert message in refusal(g_ema(content))


def test_a_tensorflow_pickle_is_named(refusal):
    message = refusal(HEAD + name("dnnlib.tflib.network.Network") + b")\x81.")
    assert "'dnnlib.tflib.network.Network'" in message and "convert it to PyTorch first" in message


class Objects:
    """numpy arrays that hold more than numbers."""

    plain = np.array([Calls(exec, CANARY)], dtype=object)
    structured = np.zeros(2, dtype=[("a", "f4"), ("b", "O")])
    void, characters, dates = np.zeros(2, "V8"), np.array(["a"]), np.zeros(2, "M8[s]")


@pytest.mark.parametrize("kind", ["plain", "structured", "void", "characters", "dates"])
def test_numpy_arrays_of_anything_but_numbers(refusal, kind):
    array = getattr(Objects, kind)
    if kind == "plain":
        message = refusal(fake.dumps({"G_ema": array}))
        assert "of numbers" in message or "exec" in message
        array = np.array([None], dtype=object)
    assert "not of numbers" in refusal(fake.dumps({"G_ema": array}))


def test_numpy_arrays_that_are_not_what_they_claim(refusal):
    # More elements than bytes, another type, an unknown byte order.
    for before, after in (
        (b"K\x03\x85", b"K\x09\x85"),
        (b"\x8c\x02f4", b"\x8c\x02O8"),
        (b"\x8c\x01<", b"\x8c\x01x"),
    ):
        content = pickle.dumps({"G_ema": np.arange(3, dtype=np.float32)}, 4)
        assert content.count(before) == 1
        assert "numpy array" in refusal(content.replace(before, after))


def storage(elements: int, claimed: int | None = None, sized: int | None = None) -> bytes:
    """Return instructions for a float32 storage of `elements`.

    It claims to have `claimed` elements in its description and `sized` in its data.
    """
    content = pickle.dumps(torch.zeros(elements), 4)
    block = next(
        argument for _, argument, _ in pickletools.genops(content) if isinstance(argument, bytes)
    )
    if claimed is not None:
        before, after = (
            b"K" + bytes([elements]) + b"N",
            b"\x8a\x08" + struct.pack("<q", claimed) + b"N",
        )
        assert block.count(before) == 1
        block = block.replace(before, after)
    if sized is not None:
        at = len(block) - 4 * elements - 8
        block = block[:at] + struct.pack("<q", sized) + block[at + 8 :]
    return name("torch.storage._load_from_bytes") + raw(block) + b"\x85R"


def tensor(data: bytes, offset: int, size: tuple[int, ...], stride: tuple[int, ...]) -> bytes:
    def whole(n: int) -> bytes:
        return b"\x8a\x08" + struct.pack("<q", n)

    def several(numbers: tuple[int, ...]) -> bytes:
        return b"(" + b"".join(map(whole, numbers)) + b"t"

    return (
        name("torch._utils._rebuild_tensor_v2")
        + b"("
        + data
        + whole(offset)
        + several(size)
        + several(stride)
        + b"tR"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (storage(5, claimed=2**40), "claims 1,099,511,627,776 elements but has 5"),
        (storage(5, claimed=2**54), "a size that isn't a whole number in range"),
        (storage(5, sized=2**62), "claims 5 elements but has 5"),
        (storage(5, claimed=2**40, sized=2**40), "claims 1,099,511,627,776 elements but has 5"),
        (tensor(storage(5), 0, (2**40,), (0,)), "reaches out of its storage of 5 elements"),
        (tensor(storage(5), 0, (2**24, 2**24), (0, 0)), "reaches out of its storage"),
        (tensor(storage(5), 1, (5,), (1,)), "reaches out of its storage"),
        (tensor(storage(5), 0, (2,), (5,)), "reaches out of its storage"),
        (tensor(storage(5), -1, (2,), (1,)), "a size that isn't a whole number in range"),
        (tensor(storage(5), 0, (5,), (-1,)), "a size that isn't a whole number in range"),
        (tensor(storage(5), 0, (5, 1), (1,)), "a shape that can't be"),
        (b"\x8e" + struct.pack("<Q", 2**62) + b"x", "damaged or cut short"),
        (b"\x8d" + struct.pack("<Q", 2**40) + b"x", "damaged or cut short"),
        (b"\x8b" + struct.pack("<i", 2**31 - 1) + b"x", "damaged or cut short"),
        (b"Nr\xff\xff\xff\xff", "has no network"),
    ],
    # The contents hold addresses, which differ between processes.
    ids=[f"claim{i}" for i in range(15)],
)
def test_claims_allocate_nothing(refusal, content, message):
    tracemalloc.start()
    assert message in refusal(g_ema(content))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3e6


def test_bytes_are_not_used_again_and_again(refusal):
    """A memoised block of bytes is the storage of a thousand tensors."""
    load = name("torch.storage._load_from_bytes") + b"h\x00\x85R"
    block = storage(200).split(b"B", 1)[1][4:-2]
    content = HEAD + raw(block) + b"q\x00" + b"0" + b"]" + (load + b"a") * 1000 + b"."
    assert "claim more bytes than the file has" in refusal(content)


def test_one_tensor_cannot_be_many(refusal, seeded):
    g = fake.Generator(16, base=4096, most=64)
    g.synthesis.b16.conv1.weight = g.synthesis.b8.conv1.weight
    assert "claim more bytes than it has" in refusal(fake.dumps({"G_ema": g}))


@pytest.mark.parametrize("opening", [b"(", b"]", b"}", b"\x8f"])
def test_no_end_of_instructions(refusal, monkeypatch, opening):
    monkeypatch.setattr(pickles, "MAX_INSTRUCTIONS", 5000)
    assert "more than 5,000 instructions" in refusal(HEAD + opening * 6000 + b".")


@pytest.mark.parametrize(
    "deep",
    [
        b")" + b"\x85" * 40_000,
        b"]" * 40_000 + b"a" * 39_999,
        (b"}" + text("_modules")) * 20_000 + b"N" + b"s" * 20_000,
    ],
    ids=["tuples", "lists", "dicts"],
)
def test_depth_is_no_recursion(refusal, deep):
    assert "has no network" in refusal(g_ema(deep))
    # A key whose hash would recurse.
    assert "only text belongs" in refusal(g_ema(b"}" + deep + b"Ns"))
    state = b"}" + text("_parameters") + b"}" + text("x") + deep + b"ss"
    assert "no tensor or module" in refusal(g_ema(record(state)))


def laughs(depth: int = 100) -> bytes:
    """Return nested lists that hold the next one twice: 2^depth of them to walk."""
    return b"]" + b"".join(
        b"q" + bytes([i]) + b"0" + b"](h" + bytes([i]) + b"h" + bytes([i]) + b"e"
        for i in range(depth)
    )


def test_a_module_that_contains_itself(refusal):
    modules = b"}q\x00" + text("a") + record(b"}" + text("_modules") + b"h\x00s") + b"s"
    assert "more, or longer named, tensors and modules" in refusal(
        g_ema(record(b"}" + text("_modules") + modules + b"s"))
    )
    twice = record(b"}")
    for i in range(40):
        twice = twice + b"q" + bytes([i]) + b"0"
        both = b"}(" + text("a") + b"h" + bytes([i]) + text("b") + b"h" + bytes([i]) + b"u"
        twice += record(b"}" + text("_modules") + both + b"s")
    assert "more, or longer named" in refusal(g_ema(twice))


def test_long_names(refusal):
    state = b"}" + text("_modules") + b"}" + text("a" * 10_000) + record(b"}") + b"ss"
    assert "more, or longer named" in refusal(g_ema(record(state)))
    assert "asks for 'aaa" in refusal(g_ema(name("a" * 9000 + ".b") + b")R"))
    assert "asks for '\\x1b[31m.b'" in refusal(g_ema(name("\x1b[31m.b") + b")R"))


@pytest.mark.parametrize(
    "attribute", ["w_avg_beta", "architecture", "use_fp16", "activation", "_init_kwargs"]
)
def test_attributes_that_explode_when_they_are_printed(refusal, small_pickle, attribute):
    """Settings of 2^100 lists are described by their type alone."""
    began = time.process_time()
    g = fake.Generator(8, z_dim=4, w_dim=4, base=32, most=4)
    bomb: object = []
    for _ in range(100):
        bomb = [bomb, bomb]
    modules = [g.mapping] if attribute == "w_avg_beta" else list(g.modules())
    for module in modules:
        module.__dict__[attribute] = bomb
    content = fake.dumps({"G_ema": g})
    # These are ignored, so that the file may be read.
    if attribute in ("use_fp16", "_init_kwargs"):
        try:
            refusal(content)
        except BaseException as failure:
            assert "DID NOT RAISE" in str(failure)
    else:
        assert "refused" in refusal(content) or "can't be used" in refusal(content)
    assert time.process_time() - began < 5


def test_truncated_anywhere(refusal, small_pickle):
    ends = {1, 2, 3, 10, len(small_pickle) - 1} | set(
        range(17, len(small_pickle), len(small_pickle) // 60)
    )
    for end in sorted(ends):
        assert "damaged or cut short" in refusal(small_pickle[:end]), end


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "got an empty file: check the path"),
        (b"<html>Quota exceeded</html>", "must be a network pickle (.pkl), a file of torch.save"),
        (b"version https://git-lfs.github.com/spec/v1\n", "got another kind of file: check the"),
        (HEAD + b"K\x01.", "must hold a dict of G, D and G_ema, got no networks"),
        (HEAD + b"}.", "it has no network of StyleGAN2 or StyleGAN3 at all"),
        (HEAD + b".", "damaged or cut short"),
        (HEAD + b"h\x05.", "damaged or cut short"),
        (HEAD + b"}" + text("G") + b"u.", "damaged or cut short"),
        (HEAD + b"}(" + text("G") + b"u.", "damaged or cut short"),
        (b"\x80\xff\xff\xff", "damaged or cut short"),
    ],
)
def test_files_that_are_something_else(refusal, content, message):
    assert message in refusal(content)


@pytest.mark.filterwarnings("ignore:.*doesn't state")
def test_changed_bytes_never_do_anything_but_fail(small_pickle, tmp_path, monkeypatch):
    """A file with random changes is read, or refused in a sentence."""
    monkeypatch.chdir(tmp_path)
    generator = random.Random(0)
    path, outcomes = tmp_path / "network.pkl", collections.Counter()
    structure = [
        i
        for i, byte in enumerate(small_pickle)
        if byte in b"cRbQ\x93\x85\x86\x87t\x94h]}(useq)\x81NKX\x8c"
    ]
    for _ in range(120):
        content = bytearray(small_pickle)
        for _ in range(generator.choice((1, 1, 3))):
            content[generator.choice(structure)] = generator.choice(
                b"cRbQ\x93\x85\x86\x87t\x94h]}(useq)\x81NKX0129."
            )
        path.write_bytes(content)
        try:
            for weights in read_networks(path).values():
                weights()
            outcomes["read"] += 1
        except (CompatError, Refusal) as error:
            assert "\n" not in str(error)
            outcomes["refused"] += 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["network.pkl"]
    assert outcomes["refused"] > 40 and outcomes["read"] > 10
