"""The trace desk: what became of a code, a case or a lot, and what scans give reason to look at."""
