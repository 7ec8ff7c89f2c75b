from __future__ import annotations


def backend_of(impl: str) -> str | None:
    """The backend for their argument ``impl``: ``"ref"`` is the reference, ``"cuda"`` the fastest for the device.

    Raises:
        ValueError: another name.
    """
    if impl not in ("ref", "cuda"):
        raise ValueError(f"impl must be 'ref' or 'cuda', got {impl!r}")
    return "reference" if impl == "ref" else None
