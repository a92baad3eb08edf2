"""Money: what a call may cost at most, what it did cost, and whether it may be made."""
