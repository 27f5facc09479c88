"""Earn campaigns: what purchases earn for a time, and under conditions, beside what the earn policy gives."""
