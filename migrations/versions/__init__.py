"""One file a step; each is one transaction."""
