"""Points in money: what they are worth in the books of the brand, and the revenue that waits for them."""
