"""fastgan under the names and argument lists that existing code calls."""
