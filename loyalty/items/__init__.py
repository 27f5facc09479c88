"""Items: one code on every physical thing; ranges, scans, claims."""
