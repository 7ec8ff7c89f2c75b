"""The thin trainer: one state, one step, one loop, one checkpoint file."""
