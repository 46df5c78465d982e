"""Run a stranger's image next to hidden data and lose nothing: one contract, several drivers, one verdict."""
