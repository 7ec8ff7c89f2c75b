"""Measures of what a generator makes: the digit classifier, mode coverage, FD-MobileNetV2."""

from fastgan.metrics.digits import DigitClassifier, load_digit_classifier
from fastgan.metrics.errors import MetricError
from fastgan.metrics.fd_mobilenet import fd_mobilenet_v2, real_statistics, statistics_of
from fastgan.metrics.frechet import FeatureStatistics, frechet_distance
from fastgan.metrics.modes import ModeCoverage, mode_coverage

__all__ = [
    "DigitClassifier",
    "FeatureStatistics",
    "MetricError",
    "ModeCoverage",
    "fd_mobilenet_v2",
    "frechet_distance",
    "load_digit_classifier",
    "mode_coverage",
    "real_statistics",
    "statistics_of",
]
