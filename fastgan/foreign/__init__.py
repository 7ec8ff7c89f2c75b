"""Readers of network files, of other programs and converted ones, that run nothing in a file."""
