"""The entries, by family."""
