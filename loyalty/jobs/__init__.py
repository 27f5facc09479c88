"""Work that happens by itself: sweeps and reviews."""
