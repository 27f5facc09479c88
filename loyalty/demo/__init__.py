"""The demonstration: an invented brand with a year behind it, made by the same functions as real traffic."""
