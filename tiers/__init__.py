"""Tiers: ladders, qualification and review."""
