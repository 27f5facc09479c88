"""Missions: what members do step by step, and what they get for it, once."""
