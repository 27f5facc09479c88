"""Segments: groups of members by rule, counted while they are made, kept as versions, used as audiences."""
