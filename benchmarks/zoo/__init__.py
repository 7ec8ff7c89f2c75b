"""Every recipe trained on the embedded digits with one budget, and the page that shows what came of it."""
