"""Ranking, and everything that is published about it: boards as JSON, CSV and HTML, signatures, result bundles."""
