"""The database's schema as a chain of migrations, written by hand."""
