"""Prize draws: odds and seed committed to before, entries in a fixed order, winners that anyone can recompute."""
