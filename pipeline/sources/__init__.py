"""Where photos come from: each source writes the same photo store."""
