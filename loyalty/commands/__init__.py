"""The commands of `tallystar`, one module a noun. `loyalty.cli` lists them and imports only the one that is called."""
