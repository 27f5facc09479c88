"""Cases and pallets: which items lie in which, kept as intervals of indexes and never as a row an item."""
