"""Metadata: the description of a network in a file, JSON under one key."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fastgan.export.forms import Form

METADATA = "fastgan"


def encoded(about: Mapping[str, Any]) -> str:
    """Return plain data as JSON in ASCII, which every format stores, whatever names hold."""
    return json.dumps(about)


def metadata_of(form: Form, *, dynamic_batch: bool) -> dict[str, str]:
    """Return the metadata of a form's file, ``{"fastgan": JSON}``."""
    about = dict(form.about)
    if form.signature is not None:
        about |= form.signature.to_plain()
    if not dynamic_batch:
        about["batch"] = {"size": form.batch}
    return {METADATA: encoded(about)}
