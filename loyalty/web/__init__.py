"""HTTP: the JSON API and the pages of each audience."""
