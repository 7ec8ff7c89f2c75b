"""Diagnosis of runs: failures of GAN training, the numbers that show them, and remedies.

`diagnose_run` reads a run's folder; `log_figures`, `sample_figures` and `symptoms_of` are its
parts.
"""

from fastgan.diagnose.figures import Figures, log_figures, sample_figures
from fastgan.diagnose.run import DiagnoseError, Diagnosis, diagnose_run
from fastgan.diagnose.symptoms import Evidence, Remedy, Symptom, symptoms_of

__all__ = [
    "DiagnoseError",
    "Diagnosis",
    "Evidence",
    "Figures",
    "Remedy",
    "Symptom",
    "diagnose_run",
    "log_figures",
    "sample_figures",
    "symptoms_of",
]
