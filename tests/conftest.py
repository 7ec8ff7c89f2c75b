"""Shares of the cores: between pytest-xdist's workers (`make test` has some) and other programs."""

from __future__ import annotations

import os

import pytest

from tests import tiers

# This must be set before torch is imported. Waiting OpenMP threads then sleep. Spinning ones would
# take cores from other programs, and small tensors would take several times as long.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
_workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "0"))
if _workers:
    # More threads than cores take a third longer. Tests of the division of work set their number.
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // _workers)))
    for name in ("PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT", "PYTEST_XDIST_TESTRUNUID"):
        os.environ.pop(name, None)  # a session that a test starts isn't a worker


def pytest_addoption(parser: pytest.Parser) -> None:
    tiers.add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    tiers.draw_seed(config)
    if not _workers:
        config.pluginmanager.register(tiers.Bookkeeping(config), "fastgan-tiers")


def pytest_report_header(config: pytest.Config) -> str | None:
    share = config.getoption("--gpu-sample")
    seed = config.getoption("--seed")
    return None if share is None else f"tests of a GPU: a share of {share:g}, --seed {seed}"


@pytest.hookimpl(trylast=True)  # after pytest-xdist has put the groups into the names
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Sort long tests first, so that no worker has one at the end, and check the groups."""
    tiers.sample_gpu_tests(config, items)
    tiers.skip_passed(config, items)
    if _workers:
        if config.getvalue("loadgroup"):
            loose = [
                i.nodeid
                for i in items
                if i.get_closest_marker("xdist_group") and "@" not in i.nodeid
            ]
            if loose:
                raise pytest.UsageError(
                    f"{loose[0]} has no group: this pytest-xdist doesn't work with pytest "
                    f"{pytest.__version__}; install the versions that pyproject.toml asks for"
                )
        items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(autouse=True)
def without_amx(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the precision `auto` mean float32, so that no outcome depends on the machine's CPU."""
    monkeypatch.setattr("fastgan.training.auto_precision.has_amx", lambda: False)


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep features of real images for the session, outside of the user's home."""
    os.environ["FASTGAN_CACHE"] = str(tmp_path_factory.mktemp("cache"))
