"""Losses as pure functions: tensors in, a scalar tensor out, no state."""
