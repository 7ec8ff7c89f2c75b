"""Runs that were broken on purpose and mended by a remedy, and the page of the results."""
