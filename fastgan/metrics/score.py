"""Classifier score; with Inception as the classifier it is the Inception score."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from fastgan.metrics.checks import check_floating, not_finite

SPLITS = 10
"""Default number of splits."""


class ClassifierScore(NamedTuple):
    """Classifier score over splits; higher is better."""

    mean: float
    """Mean over the splits, from 1 to the number of classes."""
    std: float
    """Standard deviation over the splits."""


def classifier_score(logits: Tensor, *, splits: int = SPLITS) -> ClassifierScore:
    """Compute ``exp(E_x KL(p(y|x) || p(y)))`` of each of ``splits`` parts in order, in float64.

    It is high if each sample is clearly of one class and all classes occur (Salimans et al. 2016).
    It uses no real images.

    Args:
        logits: ``[N, K]`` of a classifier, N at least ``splits``, of any float dtype.
        splits: number of parts, at least 1.

    Raises:
        TypeError: ``logits`` isn't a floating-point tensor.
        ValueError: ``logits`` has another shape, or fewer samples than splits.
        NonFiniteError: a logit is NaN or +inf, or a whole row is -inf, so it has no probabilities.
    """
    check_floating("[N, K]", logits=logits)
    if logits.ndim != 2 or splits < 1 or len(logits) < splits:
        raise ValueError(
            f"logits must be [N, K] with N at least {splits}, got {list(logits.shape)}"
        )
    log_p = logits.double().log_softmax(dim=1)
    # A logit of -inf is a probability of 0; a row without probabilities becomes NaN.
    if bad := int(log_p.isnan().any(dim=1).sum()):
        raise not_finite("the classifier score", "logits", bad, len(logits))
    scores = [_score(part) for part in log_p.tensor_split(splits)]
    values = torch.stack(scores)
    return ClassifierScore(values.mean().item(), values.std(correction=0).item())


def _score(log_p: Tensor) -> Tensor:
    log_marginal = log_p.logsumexp(dim=0) - torch.tensor(len(log_p), dtype=log_p.dtype).log()
    p = log_p.exp()
    # A logit of -inf has p = 0, and 0 · log 0 = 0.
    terms = torch.where(p > 0, p * (log_p - log_marginal), 0.0)
    return terms.sum(dim=1).mean().exp()
