"""Exports in files: any shop's members and orders, as delimited text, plain or gzipped, from a file or a pipe.

`lines` reads records so that one bad line costs one line; `mapping` says which column is what; `values`, `documents`
and `people` turn records into what the product knows; `orders_in` and `members_in` post them in batches that can be
stopped, killed and run again. `docs/importing.md` is the reader's guide.
"""
