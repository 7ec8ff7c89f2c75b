"""Diagnosis of runs: failures of GAN training, the numbers that show them, and remedies.

`diagnose_run` reads a run's folder; functions of figures and `symptoms_of` are its parts.
"""

from fastgan.diagnose.answers import answer_figures, target_figures
from fastgan.diagnose.figures import Figures, log_figures
from fastgan.diagnose.images import quality_figures, sample_figures
from fastgan.diagnose.run import DiagnoseError, Diagnosis, diagnose_run
from fastgan.diagnose.symptoms import Evidence, Remedy, Symptom, symptoms_of

__all__ = [
    "DiagnoseError",
    "Diagnosis",
    "Evidence",
    "Figures",
    "Remedy",
    "Symptom",
    "answer_figures",
    "diagnose_run",
    "log_figures",
    "quality_figures",
    "sample_figures",
    "symptoms_of",
    "target_figures",
]
