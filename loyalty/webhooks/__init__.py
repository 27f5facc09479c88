"""Messages that leave for other systems."""
