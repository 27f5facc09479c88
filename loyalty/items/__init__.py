"""Items: one code on every physical thing; products, ranges of codes, scans and claims.

An item has no row until something happens to it: its serial proves itself (`codes`), and one row, the range, says what
holds for a whole print order. Every table of an item starts its key with (gtin, kid, index), so that it can be
distributed by GTIN.
"""
