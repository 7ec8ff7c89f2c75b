"""Measures of generated images.

- Distances and coverage in the features of a network.
- Modes and nearest neighbours.
- Distances from targets.
"""

from fastgan.metrics.checks import NonFiniteError
from fastgan.metrics.digits import DigitClassifier, load_digit_classifier
from fastgan.metrics.equivariance import equivariance
from fastgan.metrics.errors import MetricError
from fastgan.metrics.faces import FaceReader, FaceReading, load_face_reader
from fastgan.metrics.fd_mobilenet import fd_mobilenet_v2, statistics_of
from fastgan.metrics.feature_networks import FeatureNetwork, open_features
from fastgan.metrics.frechet import FeatureStatistics, frechet_distance
from fastgan.metrics.kernel import KernelDistance, kernel_distance, polynomial_mmd
from fastgan.metrics.modes import ClassReading, ModeCoverage, mode_classifier, mode_coverage
from fastgan.metrics.neighbours import Neighbours, nearest_neighbours, neighbour_grid
from fastgan.metrics.paired import l1, psnr, ssim
from fastgan.metrics.perceptual import (
    PerceptualDistance,
    PerceptualNetwork,
    load_perceptual_network,
)
from fastgan.metrics.prdc import PRDC, prdc
from fastgan.metrics.real import RealFeatures, real_features
from fastgan.metrics.score import ClassifierScore, classifier_score

__all__ = [
    "PRDC",
    "ClassReading",
    "ClassifierScore",
    "DigitClassifier",
    "FaceReader",
    "FaceReading",
    "FeatureNetwork",
    "FeatureStatistics",
    "KernelDistance",
    "MetricError",
    "ModeCoverage",
    "Neighbours",
    "NonFiniteError",
    "PerceptualDistance",
    "PerceptualNetwork",
    "RealFeatures",
    "classifier_score",
    "equivariance",
    "fd_mobilenet_v2",
    "frechet_distance",
    "kernel_distance",
    "l1",
    "load_digit_classifier",
    "load_face_reader",
    "load_perceptual_network",
    "mode_classifier",
    "mode_coverage",
    "nearest_neighbours",
    "neighbour_grid",
    "open_features",
    "polynomial_mmd",
    "prdc",
    "psnr",
    "real_features",
    "ssim",
    "statistics_of",
]
