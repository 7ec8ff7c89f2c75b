"""Measures of what a generator makes: the digit classifier and mode coverage."""

from fastgan.metrics.digits import DigitClassifier, load_digit_classifier
from fastgan.metrics.modes import ModeCoverage, mode_coverage

__all__ = ["DigitClassifier", "ModeCoverage", "load_digit_classifier", "mode_coverage"]
