"""GIF and MP4 files, read back."""

import sys

import numpy as np
import pytest
import torch

from fastgan.latent import LatentError, save_video

PIL = pytest.importorskip("PIL.Image")


def frames(count=4, channels=3, height=18, width=22):
    """Return frames whose grey level rises, darker on the left."""
    levels = torch.linspace(60, 200, count).view(-1, 1, 1, 1)
    picture = levels + torch.linspace(-40, 40, width)
    return picture.expand(count, channels, height, width).round().to(torch.uint8)


@pytest.mark.parametrize("channels", [1, 3])
def test_gif(tmp_path, channels):
    written = frames(channels=channels)
    save_video(tmp_path / "deep" / "a.gif", written, fps=20)
    with PIL.open(tmp_path / "deep" / "a.gif") as picture:
        assert (picture.n_frames, picture.size, picture.info["loop"]) == (4, (22, 18), 0)
        for i in range(4):
            picture.seek(i)
            assert picture.info["duration"] == 50
            decoded = torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1).int()
            assert (decoded - written[i].int()).abs().max() <= 4
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["a.gif"]


@pytest.mark.parametrize("size", [(18, 22), (17, 21)])
def test_mp4(tmp_path, size):
    av = pytest.importorskip("av")
    written = frames(count=12, height=size[0], width=size[1])
    save_video(tmp_path / "a.mp4", iter(written), fps=30)
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        decoded = [
            torch.from_numpy(frame.to_ndarray(format="rgb24")) for frame in container.decode(stream)
        ]
        assert stream.average_rate == 30 and stream.codec_context.name == "h264"
    assert len(decoded) == 12 and decoded[0].shape == (18, 22, 3)
    for i in range(12):
        height, width = size
        expected = written[i].permute(1, 2, 0).int()
        assert (decoded[i][:height, :width].int() - expected).abs().float().mean() < 6
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_refused(tmp_path, monkeypatch):
    good = frames()
    for name in ("a.avi", "a"):
        with pytest.raises(LatentError, match=r"^A video must end in \.gif or \.mp4, got .*'\.$"):
            save_video(tmp_path / name, good)
    with pytest.raises(LatentError, match="must have at least one frame, got none"):
        save_video(tmp_path / "a.gif", good[:0])
    with pytest.raises(
        ValueError, match=r"uint8 \[1 to 4, H, W\], got torch.float32 \[3, 18, 22\]"
    ):
        save_video(tmp_path / "a.gif", good.float())
    with pytest.raises(ValueError, match=r"one shape, got \[3, 18, 22\] and \[3, 18, 21\]"):
        save_video(tmp_path / "a.gif", [good[0], good[1, :, :, 1:]])
    with pytest.raises(ValueError, match="fps must be from 1 to 100, got 0"):
        save_video(tmp_path / "a.gif", good, fps=0)
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").write_text("")
    with pytest.raises(LatentError, match=r"can't be written: .+\.$"):
        save_video(tmp_path / "file" / "a.gif", good)
    for module, name in (("av", "a.mp4"), ("PIL.Image", "a.gif")):
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(
            LatentError, match=r"needs (av|pillow), which can't be imported .*pip install"
        ):
            save_video(tmp_path / name, good)
