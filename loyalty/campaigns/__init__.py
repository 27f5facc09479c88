"""Campaigns: earn rules and their versions."""
