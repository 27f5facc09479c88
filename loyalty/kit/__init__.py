"""The shared kernel: what every other part stands on, and which imports nothing of ours."""
