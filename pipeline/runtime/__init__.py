"""What every program of the house runs on: one-line errors, signals, locks, outs that are whole, processes."""
