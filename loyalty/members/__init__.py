"""Members: who they are, on every channel; consent, merge, erasure."""
