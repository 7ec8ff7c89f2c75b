"""Every recipe trained on embedded data, and the page that shows what came of it."""
