"""Runs that begin with trained weights: their first state, their records, and how they go on."""

from __future__ import annotations

import dataclasses
import json
import shutil

import pytest
import torch

from fastgan.data import InMemoryDataset
from fastgan.errors import FastganError
from fastgan.foreign.errors import CompatError
from fastgan.recipes import GAN, StyleGAN2
from fastgan.training.checkpoint import CheckpointError, DamagedCheckpoint, load_checkpoint
from fastgan.training.config import ConfigError, load_config
from fastgan.training.state import TrainState
from fastgan.training.transfer import TransferError, make_plan, read_source, source_settings
from tests.compat import fake_official as official
from tests.training.transfers import save, small, spec, trained

QUIET = {"total_images": 8, "measure": "none", "log_every": 8, "samples_every": 1000}


def pictures(channels=1, resolution=16, count=16):
    generator = torch.Generator().manual_seed(3)
    shape = (count, channels, resolution, resolution)
    images = torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
    return InMemoryDataset("noise", images, torch.zeros(count, dtype=torch.int64))


@pytest.fixture
def source(tmp_path):
    """Return a folder with a checkpoint of a tiny gan with an average, and its state."""
    images = spec("gan")
    state = trained(small("gan", ema=0.9), images)
    return save(tmp_path / "source", state, images), state


@pytest.fixture
def begun(run, source):
    """Return the result and the output of a run of two steps that began with the source."""
    return run(
        small("gan", ema=0.9),
        init_from=source[0],
        dataset=pictures(),
        **QUIET,
        checkpoint_every=4,
    )


def saved(result, nimg):
    return load_checkpoint(result.run.checkpoints / f"{nimg:09d}.pt").state


def test_the_first_step_starts_where_the_source_ended(run, source):
    seen = {}

    from fastgan.training import Callback

    class Look(Callback):
        def on_start(self, run):
            z = torch.randn(4, 4, generator=torch.Generator().manual_seed(1))
            seen["first"] = run.state.sampler["G"].eval()(z)
            seen["its"] = source[1].sampler["G"].eval()(z)
            seen["nimg"], seen["optimizers"] = (
                run.state.nimg,
                run.state.optimizers["G"].state_dict()["state"],
            )

    run(
        small("gan", ema=0.9),
        init_from=source[0],
        dataset=pictures(),
        callbacks=[Look()],
        **QUIET,
    )
    assert torch.equal(seen["first"], seen["its"])
    assert seen["nimg"] == 0 and seen["optimizers"] == {}


def test_a_run_records_and_shows_where_it_began(begun, source):
    result, output = begun
    beginning = load_config(result.run.config).beginning
    assert (
        beginning.source == str(source[0])
        and beginning.file == "000000400.pt"
        and beginning.whole == ("G",)
    )
    assert len(beginning.sha256) == 64 and beginning.sha256[:16] in result.run.report.read_text()
    assert (
        "Begins with gan after 400 images" in output and "G: all" in output and "D: all" in output
    )


def test_the_same_seed_gives_the_same_bits(run, begun, source):
    result, _ = begun
    again, _ = run(
        small("gan", ema=0.9),
        out="again", init_from=str(source[0]), dataset=pictures(), **QUIET, checkpoint_every=4,
    )  # fmt: skip
    one, two = saved(result, 8), saved(again, 8)
    for part in ("networks", "ema"):
        for name, tensors in one[part].items():
            for key, tensor in tensors.items():
                assert torch.equal(tensor, two[part][name][key]), (part, name, key)


def test_a_resumed_run_needs_no_source_and_ends_the_same(run, begun, source):
    result, _ = begun
    (result.run.checkpoints / "000000008.pt").unlink()
    unbroken = saved(result, 4)
    shutil.rmtree(source[0])
    resumed, output = run(
        small("gan", ema=0.9),
        init_from=source[0],
        dataset=pictures(),
        resume=True,
        **QUIET,
    )
    assert "Resumed after 4 images" in output
    assert load_config(resumed.run.config).beginning == result.config.beginning
    assert resumed.nimg == 8 and saved(resumed, 8)["ema"].keys() == unbroken["ema"].keys()


def test_resuming_is_bit_identical(run, begun, source):
    result, _ = begun
    last = saved(result, 8)
    (result.run.checkpoints / "000000008.pt").unlink()
    resumed, _ = run(small("gan", ema=0.9), dataset=pictures(), resume=True, **QUIET)
    for name, tensors in last["ema"].items():
        for key, tensor in tensors.items():
            assert torch.equal(tensor, saved(resumed, 8)["ema"][name][key]), (name, key)


def test_another_source_is_refused_at_a_resume(run, begun, tmp_path):
    images = spec("gan")
    other = save(tmp_path / "other", trained(small("gan"), images, seed=5), images)
    recipe = small("gan", ema=0.9)
    with pytest.raises(ConfigError, match=r"This run began with gan after 400 images.*other"):
        run(recipe, init_from=other, dataset=pictures(), resume=True, **QUIET)
    copy = shutil.copytree(tmp_path / "source", tmp_path / "copy")
    # A copy of the source counts as the same file.
    run(recipe, init_from=copy, dataset=pictures(), resume=True, **QUIET)


def test_a_source_is_refused_for_a_run_that_began_without(run, source):
    recipe = small("gan")
    run(recipe, dataset=pictures(), **QUIET)
    with pytest.raises(ConfigError, match="drawn from its seed, got init_from"):
        run(recipe, init_from=source[0], dataset=pictures(), resume=True, **QUIET)


def test_a_run_killed_before_its_first_checkpoint_begins_again(run, begun, source):
    result, _ = begun
    recipe = small("gan", ema=0.9)
    last = saved(result, 8)
    shutil.rmtree(result.run.checkpoints)
    again, _ = run(recipe, dataset=pictures(), resume=True, **QUIET)
    assert all(
        torch.equal(t, saved(again, 8)["ema"]["G"][key]) for key, t in last["ema"]["G"].items()
    )
    shutil.rmtree(result.run.checkpoints)
    images = spec("gan")
    shutil.rmtree(source[0])
    save(source[0], trained(small("gan", ema=0.9), images, seed=9), images)
    with pytest.raises(ConfigError, match="holds other weights now"):
        run(recipe, dataset=pictures(), resume=True, **QUIET)


def test_the_first_steps_keep_a_trained_average(source):
    images = spec("gan")
    for average in ({"ema": 0.99}, {"ema_kimg": 10.0}):
        recipe, plan = make_plan(read_source(source[0]), small("gan", **average), images)
        state = TrainState.create(recipe, images, plan=plan)
        before = {key: t.clone() for key, t in state.ema["G"].state_dict().items()}
        for p in state.networks["G"].parameters():
            p.data.add_(1)
        state.nimg = 4
        state.update_ema(4)
        key = "layers.0.weight"
        moved = (state.ema["G"].state_dict()[key] - before[key]).abs().max()
        assert 0 < moved < 0.05
        fresh = TrainState.create(small("gan", **average), images)
        assert fresh.trained == () and state.trained == ("G",)


def test_an_average_of_fresh_weights_forgets_them_as_usual(source):
    images = spec("gan", resolution=8)
    _, plan = make_plan(read_source(source[0]), small("gan", ema=0.9), images)
    assert plan.beginning.whole == ()


def test_live_weights_come_from_the_average_where_there_are_no_others(source):
    images = spec("gan")
    whole = read_source(source[0])
    alone = dataclasses.replace(whole, live={"D": whole.live["D"]})
    _, plan = make_plan(alone, small("gan", ema=0.9), images)
    assert all(torch.equal(t, whole.averages["G"][key]) for key, t in plan.live["G"].items())
    without = dataclasses.replace(whole, averages={})
    _, plan = make_plan(without, small("gan", ema=0.9), images)
    assert all(torch.equal(t, whole.live["G"][key]) for key, t in plan.averages["G"].items())
    only_g = dataclasses.replace(whole, live={}, averages={"G": whole.averages["G"]})
    _, plan = make_plan(only_g, small("gan"), images)
    assert plan.live.keys() == {"G"} and any(
        "D starts fresh: the source has G only" in x for x in plan.news
    )


def test_an_export_is_a_source(source, tmp_path):
    from fastgan.export import to_safetensors
    from fastgan.training.config import RunConfig, split_settings
    from fastgan.training.run_settings import RunSettings

    state = source[1]
    config = RunConfig(state.recipe, RunSettings.of(state.recipe), spec("gan"), "data", "0" * 64)
    plain = config.to_plain()
    _, settings = split_settings(plain["settings"])
    about = {"recipe": plain["recipe"], "settings": settings, "images": plain["images"]}
    to_safetensors(state.ema["G"], tmp_path / "G.safetensors", name="G_ema", about=about)
    weights = read_source(tmp_path / "G.safetensors")
    assert weights.averages.keys() == {"G"} and not weights.live and weights.images == spec("gan")
    _, plan = make_plan(weights, small("gan", ema=0.9), spec("gan"))
    assert plan.beginning.whole == ("G",) and plan.live.keys() == {"G"}
    assert source_settings(weights, type(state.recipe))["g_hidden"] == (8,)


def test_an_official_file_is_a_source(tmp_path):
    torch.manual_seed(0)
    parts = {"G_ema": official.Generator(16, z_dim=4, w_dim=4, base=64, most=8)}
    (tmp_path / "network.pkl").write_bytes(official.dumps(parts))
    weights = read_source(tmp_path / "network.pkl")
    sizes = source_settings(weights, StyleGAN2)
    assert sizes["z_dim"] == 4 and sizes["w_dim"] == 4 and weights.images.resolution == 16
    images = spec("stylegan2", weights.images.channels, 16)
    recipe, plan = make_plan(weights, StyleGAN2(**sizes, batch=4), images)
    state = TrainState.create(recipe, images, plan=plan)
    z = torch.randn(2, 4)
    from fastgan.compat import load_generator

    theirs = load_generator(tmp_path / "network.pkl")(z, noise_mode="const")
    with torch.no_grad():
        assert torch.equal(state.networks["G"].eval()(z, noise_mode="const"), theirs)
        assert torch.equal(
            state.ema["G"].mapping.w_avg, load_generator(tmp_path / "network.pkl").mapping.w_avg
        )
    assert plan.beginning.whole == ("G",)


def test_path_lengths_and_w_avg_come_along_and_ada_starts_at_zero(tmp_path):
    images = spec("stylegan2-ada")
    state = trained(small("stylegan2-ada"), images)
    state.networks["path_length"].mean.fill_(3.5)
    state.networks["augment"].p.fill_(0.4)
    recipe, plan = make_plan(
        read_source(save(tmp_path, state, images)), small("stylegan2-ada"), images
    )
    new = TrainState.create(recipe, images, plan=plan)
    assert new.networks["path_length"].mean == 3.5 and new.networks["augment"].p == 0
    w_avg = state.networks["G"].mapping.w_avg
    assert torch.equal(new.networks["G"].mapping.w_avg, w_avg) and w_avg.abs().max() > 0


@pytest.mark.parametrize(("growth", "resolution", "start"), [(2, 32, 16), (1.4, 32, 8), (2, 8, 8)])
def test_growth_goes_on_where_it_was(tmp_path, growth, resolution, start):
    state = trained(small("progan", ema=0.9), spec("progan", resolution=16))
    for network in (*state.networks.values(), *state.ema.values()):
        network.grow(growth)
    weights = read_source(save(tmp_path, state, spec("progan", resolution=16)))
    images = spec("progan", resolution=resolution)
    recipe, plan = make_plan(weights, small("progan", ema=0.9), images)
    assert recipe.start_resolution == start
    new = TrainState.create(recipe, images, plan=plan)
    assert new.networks["G"].current == new.ema["G"].current == new.networks["D"].current == start
    explicit, _ = make_plan(weights, small("progan", start_resolution=4), images)
    assert explicit.start_resolution == 4 and explicit.growth(0) == 0
    assert small("progan").settled(8, recipe).start_resolution == start


def test_settings_of_sizes_are_taken_over(tmp_path):
    images = spec("stylegan2", resolution=16)
    state = trained(small("stylegan2", lr=1e-4, channel_max=4), images)
    sizes = source_settings(read_source(save(tmp_path, state, images)), StyleGAN2)
    assert sizes == {
        "z_dim": 4, "w_dim": 4, "mapping_layers": 2, "channel_base": 64, "channel_max": 4,
    }  # fmt: skip
    assert source_settings(read_source(tmp_path), GAN) is None


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda path: path / "missing.pt", CompatError),
        (lambda path: path, CheckpointError),
        (lambda path: _write(path / "empty.pkl", b""), CompatError),
        (lambda path: _write(path / "notes.txt", b"weights"), CompatError),
        (lambda path: _write(path / "cut.safetensors", b"\x10\0\0\0\0\0\0\0{"), CompatError),
        (lambda path: _damaged(path), DamagedCheckpoint),
        (lambda path: _nothing_known(path), TransferError),
    ],
)
def test_what_is_no_source_is_refused_in_one_sentence(run, tmp_path, make, error):
    (tmp_path / "folder").mkdir()
    path = make(tmp_path / "folder")
    with pytest.raises(error) as caught:
        run(small("gan"), init_from=path, dataset=pictures(), **QUIET)
    assert isinstance(caught.value, FastganError)
    assert path.name in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def _write(path, content):
    path.write_bytes(content)
    return path


def _damaged(path):
    images = spec("gan")
    folder = save(path / "run", trained(small("gan"), images), images)
    file = folder / "checkpoints" / "000000400.pt"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    return _write(file, bytes(content))


def _nothing_known(path):
    torch.save({"weights": {"a": torch.ones(2, 2)}}, path / "other.pt")
    return path / "other.pt"


def test_a_source_that_fits_nowhere_leaves_no_folder(run, source, tmp_path):
    with pytest.raises(TransferError, match="No weight fits"):
        run(small("dcgan"), init_from=source[0], dataset=pictures(), **QUIET)
    assert not (tmp_path / "run").exists()


def test_configurations_without_a_beginning_are_as_they_were(run):
    result, _ = run(small("gan"), dataset=pictures(), **QUIET)
    assert "beginning" not in json.loads(result.run.config.read_text())
