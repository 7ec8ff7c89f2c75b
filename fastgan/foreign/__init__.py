"""Network files of other programs, and converted ones, read as data: nothing in them is run."""
