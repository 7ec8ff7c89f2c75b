"""Figures of what trained networks make: plans, measures, distances from targets."""
