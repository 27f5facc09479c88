"""The points ledger: an append-only record of balanced transfers, and the projections made from it."""
