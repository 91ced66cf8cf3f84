"""Measuring a store: one request after another by each of so many workers, and everything written is removed again."""
