"""Redemption: what points can be turned into, and turning them."""
