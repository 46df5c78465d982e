"""What a competition measures, one metric a file: pure functions on arrays."""
