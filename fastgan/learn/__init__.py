"""Experiments of the learning pages (docs/learn) that need more than a command."""
