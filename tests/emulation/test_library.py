"""The emulated op library from Python: errors, options, counts, and any order of threads."""

import threading

import pytest
import torch

from fastgan import ops

from .control import Emulator, load_emulated

pytestmark = pytest.mark.emulated


@pytest.fixture(scope="module")
def emulator() -> Emulator:
    return Emulator(load_emulated())


def forward_and_gradients(*, channels_last: bool = False) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, 8, 9, 11, generator=generator)
    b = torch.randn(8, generator=generator, requires_grad=True)
    if channels_last:
        x = x.to(memory_format=torch.channels_last)
    x.requires_grad_()
    y = ops.bias_act(x, b, act="lrelu", clamp=0.5, backend="emulated")
    return [y.detach(), *torch.autograd.grad(y.square().sum(), (x, b))]


@pytest.mark.parametrize("channels_last", [False, True])
def test_results_do_not_depend_on_the_order_of_threads(
    emulator: Emulator, channels_last: bool
) -> None:
    expected = forward_and_gradients(channels_last=channels_last)
    for order in (1, 2, 3):
        with emulator.options(order=order):
            for got, want in zip(
                forward_and_gradients(channels_last=channels_last), expected, strict=True
            ):
                assert torch.equal(got, want)


def test_a_defect_arrives_as_runtime_error_with_its_place(emulator: Emulator) -> None:
    place = r"\[block \(0,0,0\) thread \(0,0,0\) in FG_SHARED at \S+kernel\.cuh:\d+\]"
    with (
        emulator.options(max_shared=16),
        pytest.raises(RuntimeError, match=f"shared memory over the limit of 16 bytes {place}"),
    ):
        forward_and_gradients(channels_last=True)
    # The failed launch leaves nothing behind.
    forward_and_gradients(channels_last=True)


def test_launches_are_counted(emulator: Emulator) -> None:
    emulator.reset_stats()
    assert emulator.stats().launches == 0
    forward_and_gradients()
    stats = emulator.stats()
    assert stats.launches >= 3  # forward, backward, sum of the bias gradient
    assert stats.blocks >= stats.launches
    assert stats.threads >= 32 * stats.blocks
    assert 0 < stats.shared_peak <= 48 * 1024


def test_launches_from_several_threads_wait_for_each_other(emulator: Emulator) -> None:
    expected = forward_and_gradients()
    results: list[list[torch.Tensor]] = []
    threads = [
        threading.Thread(target=lambda: results.append(forward_and_gradients())) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == len(threads)
    assert all(
        torch.equal(a, b) for result in results for a, b in zip(result, expected, strict=True)
    )
