"""Every recipe trained on embedded data, and the page of the results."""
