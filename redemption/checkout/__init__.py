"""Checkouts: coupons and points quoted for a basket, locked together, and used, released or given back together."""
