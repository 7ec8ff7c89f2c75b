"""SeFa's directions, and the statistics of w."""

import pytest
import torch

from fastgan.latent import LatentError, estimate_w_avg, sefa
from fastgan.latent.sefa import affine_layers
from tests.latent.generators import generator


def test_each_style_finds_the_affine_layers_that_take_it(G):
    """Changing one style changes the outputs of its affine layers alone."""
    for layer, affines in enumerate(affine_layers(G)):
        seen = {}
        handles = [
            module.register_forward_hook(
                lambda m, i, y, seen=seen: seen.setdefault(m, []).append(y)
            )
            for name, module in G.synthesis.named_modules()
            if name.endswith("affine")
        ]
        ws = torch.zeros(1, G.num_ws, G.w_dim)
        with torch.no_grad():
            G.synthesis(ws, noise_mode="none")
            ws[:, layer] = 1
            G.synthesis(ws, noise_mode="none")
        for handle in handles:
            handle.remove()
        moved = {
            module for module, (before, after) in seen.items() if not torch.equal(before, after)
        }
        assert moved == set(affines) and len(affines) == (
            1 if layer in (0, 7) or layer % 2 == 0 else 2
        )


def test_directions_are_the_strongest(G):
    result = sefa(G, "middle", 16)
    a = torch.cat([m.weight for i in range(3, 8) for m in affine_layers(G)[i]])
    n, strengths = result
    torch.testing.assert_close(n @ n.T, torch.eye(16), atol=1e-5, rtol=0)
    torch.testing.assert_close((a @ n.T).square().sum(0), strengths, rtol=1e-4, atol=1e-4)
    assert (strengths.diff() <= 0).all()
    # The largest component is positive.
    assert torch.equal(n.abs().argmax(1), n.argmax(1))
    singular = torch.linalg.svdvals(a.double()).square().float()
    torch.testing.assert_close(strengths, singular, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(sefa(G, "middle", 2).directions, n[:2])
    assert not torch.allclose(sefa(G, "coarse", 1).directions, n[:1], atol=1e-2)


def test_directions_refused(G):
    with pytest.raises(ValueError, match="count must be from 1 to the size of w, 16, got 17"):
        sefa(G, count=17)
    with pytest.raises(LatentError, match="fine layers begin at 64"):
        sefa(G, "fine")


def test_w_avg(G):
    # More than one chunk.
    first = estimate_w_avg(G, 1500, generator=torch.Generator().manual_seed(0))
    rng = torch.Generator().manual_seed(0)
    with torch.no_grad():
        w = torch.cat([G.mapping(torch.randn(n, 16, generator=rng))[:, 0] for n in (1000, 500)])
    torch.testing.assert_close(first.mean, w.mean(0))
    assert first.std == pytest.approx(
        (w - w.mean(0)).square().sum(1).mean().sqrt().item(), rel=1e-4
    )
    with pytest.raises(ValueError, match="samples must be at least 2, got 1"):
        estimate_w_avg(G, 1)


def test_w_avg_of_a_class():
    G = generator(c_dim=3)
    means = [estimate_w_avg(G, 500, labels=torch.tensor([label])).mean for label in range(3)]
    everything = estimate_w_avg(G, 4000).mean
    assert (means[0] - means[1]).norm() > 0.3
    assert (torch.stack(means).mean(0) - everything).norm() < 0.5 * (means[0] - everything).norm()
