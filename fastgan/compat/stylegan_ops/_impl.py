from __future__ import annotations


def backend_of(impl: str) -> str | None:
    """Return the backend for the argument ``impl`` of the official ops.

    ``"ref"`` is the reference, ``"cuda"`` the fastest backend for the device, also on the CPU.

    Raises:
        ValueError: ``impl`` is another name.
    """
    if impl not in ("ref", "cuda"):
        raise ValueError(f"impl must be 'ref' or 'cuda', got {impl!r}")
    return "reference" if impl == "ref" else None
