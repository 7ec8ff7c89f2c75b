"""Experiments of the learning pages (docs/learn) that are more than a command."""
