"""Cases: a run that is broken on purpose, the failure that it shows, and remedies."""

from __future__ import annotations

from dataclasses import dataclass

SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class Attempt:
    """A run of a case: the broken one, or that with a remedy.

    Attributes:
        name: name in files.
        label: name for the reader.
        options: options that it adds to the case's; a later option takes precedence.
        helps: True if the failure is gone with every seed.
    """

    name: str
    label: str
    options: str
    helps: bool = True


@dataclass(frozen=True)
class Case:
    """A failure on one data set, and remedies for it.

    Attributes:
        name: name in files and on the command line.
        title: title for the reader.
        failure: name of the failure by `diagnose`.
        recipe: name of the recipe.
        base: options of all its runs.
        breaking: options that break the run.
        remedies: attempts to mend it, which keep what breaks it.
        figures: figures in its table; the first one has the bounds.
        broken, mended: bound of the first figure in broken and in mended runs. It lies above the
            bound where `rises`, else below.
        rises: True if the remedies raise the first figure.
        curve: column of the log to draw.
    """

    name: str
    title: str
    failure: str
    recipe: str
    base: str
    breaking: str
    remedies: tuple[Attempt, ...]
    figures: tuple[str, ...]
    broken: float
    mended: float
    rises: bool = True
    curve: str = "loss/D"

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """The broken run and its remedies."""
        return (Attempt("broken", "broken", ""), *self.remedies)

    def arguments(self, attempt: Attempt, seed: int) -> list[str]:
        """Return the options of `fastgan train` for an attempt."""
        return f"--preset paper {self.base} {self.breaking} {attempt.options} --seed {seed}".split()

    def command(self, attempt: Attempt, seed: int) -> str:
        """Return the command line of an attempt."""
        return " ".join(["fastgan train", self.recipe, *self.arguments(attempt, seed)])

    def is_broken(self, figure: float) -> bool:
        """Return True if the first figure is that of a broken run."""
        return figure <= self.broken if self.rises else figure >= self.broken

    def is_mended(self, figure: float) -> bool:
        """Return True if the first figure is that of a mended run."""
        return figure >= self.mended if self.rises else figure <= self.mended


_RING = (
    "--data ring --z-dim 16 --g-hidden 64 64 --d-hidden 64 64 --g-act relu --no-batch-norm "
    "--dropout 0"
)
_DIGITS = "--data digits --resolution 8 --batch 32 --z-dim 32 --g-hidden 64 128 --d-hidden 128 64"

CASES: tuple[Case, ...] = (
    Case(
        "collapse-ring",
        "Mode collapse on a ring of eight Gaussians",
        "mode collapse",
        "gan",
        f"{_RING} --total-images 64000",
        "--lr 2e-3 --d-lr 4e-4",
        (
            Attempt("unroll", "unrolling", "--unroll 5 --total-images 96000"),
            Attempt("minibatch", "minibatch discrimination", "--minibatch-discrimination 16"),
            Attempt(
                "wgan-gp",
                "WGAN-GP, β₁ = 0, λ = 0.1",
                "--loss wasserstein --penalty wgan-gp --penalty-weight 0.1 --n-critic 5 "
                "--betas 0 0.9 --total-images 640000",
            ),
            Attempt(
                "wgan-gp-10",
                "WGAN-GP, λ = 10",
                "--loss wasserstein --penalty wgan-gp --n-critic 5 --total-images 640000",
                helps=False,
            ),
            Attempt("features", "feature matching", "--feature-matching 1", helps=False),
            Attempt(
                "noise",
                "instance noise",
                "--instance-noise 0.3 --instance-noise-until 64000",
                helps=False,
            ),
            Attempt("ttur", "TTUR: a slower G", "--lr 5e-4 --d-lr 2e-3 --total-images 96000"),
        ),
        ("covered", "classes_hit", "near_modes", "spread"),
        broken=0.15,
        mended=0.32,
    ),
    Case(
        "oscillation",
        "Oscillation on digits",
        "oscillation",
        "gan",
        f"{_DIGITS} --total-images 8000",
        "--lr 4e-4 --d-lr 1e-2 --dropout 0",
        (
            Attempt("spectral-norm", "spectral norm", "--spectral-norm"),
            Attempt("r1", "gradient penalty R1", "--penalty r1 --penalty-weight 1"),
            Attempt("slower", "lower rates", "--lr 1e-4 --d-lr 2.5e-3", helps=False),
            Attempt("ttur", "TTUR: a slower D", "--d-lr 1e-3"),
            Attempt("smoothing", "one-sided smoothing", "--real-label 0.9", helps=False),
        ),
        ("swing", "certainty", "classes_hit", "covered"),
        broken=0.2,
        mended=0.12,
        rises=False,
    ),
    Case(
        "g-too-strong",
        "G too strong on digits",
        "G too strong",
        "gan",
        f"{_DIGITS} --total-images 12000",
        "--lr 4e-4 --d-lr 4e-5",
        (
            Attempt("ttur", "TTUR: a faster D", "--d-lr 1.6e-3"),
            Attempt("critic", "10 updates of D", "--n-critic 10 --total-images 120000"),
            Attempt("no-dropout", "no dropout in D", "--dropout 0", helps=False),
            Attempt("wider", "a wider D", "--d-hidden 256 128", helps=False),
        ),
        ("covered", "certainty", "certainty_peak", "classes_hit"),
        broken=0.3,
        mended=0.35,
    ),
    Case(
        "collapse-digits",
        "Mode collapse on digits",
        "mode collapse",
        "gan",
        f"{_DIGITS} --total-images 12000",
        "--lr 4e-4 --no-batch-norm",
        (
            Attempt("batch-norm", "batch norm in G", "--batch-norm"),
            Attempt("features", "feature matching", "--feature-matching 10", helps=False),
            Attempt(
                "minibatch",
                "minibatch discrimination",
                "--minibatch-discrimination 16",
                helps=False,
            ),
            Attempt(
                "noise",
                "instance noise",
                "--instance-noise 0.3 --instance-noise-until 12000",
                helps=False,
            ),
        ),
        ("apart", "spread", "classes_hit", "covered"),
        broken=0.4,
        mended=0.45,
    ),
    Case(
        "d-too-strong",
        "D too strong on digits",
        "D too strong",
        "gan",
        f"{_DIGITS} --total-images 24000",
        "--lr 3e-4 --d-lr 4e-3 --n-critic 4 --dropout 0",
        (
            Attempt("ttur", "TTUR: a slower D", "--d-lr 1e-4"),
            Attempt(
                "noise",
                "instance noise",
                "--instance-noise 1 --instance-noise-until 48000",
                helps=False,
            ),
            Attempt("dropout", "dropout in D", "--dropout 0.8", helps=False),
            Attempt("n-gen", "4 updates of G", "--n-gen 4"),
            Attempt("narrower", "a narrower D", "--d-hidden 16 8", helps=False),
            Attempt("smoothing", "one-sided smoothing", "--real-label 0.9", helps=False),
        ),
        ("certainty", "covered", "classes_hit", "apart"),
        broken=0.85,
        mended=0.82,
        rises=False,
    ),
    Case(
        "vanishing",
        "Vanishing gradients on digits",
        "vanishing gradients",
        "gan",
        f"{_DIGITS} --total-images 16000",
        "--lr 1e-4 --loss minimax --d-lr 1e-3 --dropout 0 --no-batch-norm",
        (
            Attempt("non-saturating", "non-saturating loss", "--loss non-saturating", helps=False),
            Attempt("wgan-gp", "WGAN-GP", "--loss wasserstein --penalty wgan-gp"),
            Attempt("features", "feature matching", "--feature-matching 1"),
            Attempt("smoothing", "one-sided smoothing", "--real-label 0.9", helps=False),
            Attempt("spectral-norm", "spectral norm", "--spectral-norm"),
            Attempt("dropout", "dropout in D", "--dropout 0.5"),
            Attempt("noise", "instance noise", "--instance-noise 0.5 --instance-noise-until 32000"),
            Attempt("ttur", "TTUR: a slower D", "--d-lr 1e-4"),
        ),
        ("gradient_g_kept", "certainty", "covered", "classes_hit"),
        broken=0.05,
        mended=0.2,
        curve="gradient/G",
    ),
    Case(
        "collapse-stacked",
        "Mode collapse on stacked MNIST",
        "mode collapse",
        "dcgan",
        "--data stacked-mnist --resolution 16 --batch 32 --z-dim 32 --ngf 16 --total-images 24000",
        "--ndf 4 --d-norm none --lr 1e-3",
        (Attempt("minibatch", "minibatch discrimination", "--minibatch-discrimination 16"),),
        ("classes_hit", "spread", "apart", "covered"),
        broken=300,
        mended=500,
    ),
    Case(
        "poor-quality",
        "Poor quality on MNIST",
        "poor quality",
        "dcgan",
        "--data mnist5k --resolution 16 --batch 32 --z-dim 32 --lr 4e-4",
        "--ngf 4 --ndf 4 --total-images 4000",
        (
            Attempt("longer", "longer training", "--total-images 24000"),
            Attempt("wider", "wider networks", "--ngf 16 --ndf 16", helps=False),
            Attempt("augment", "augmentation", "--augment diffaugment", helps=False),
        ),
        ("features", "sharpness", "covered", "classes_hit"),
        broken=20,
        mended=15,
        rises=False,
    ),
)
"""All cases, in the order of the page."""
