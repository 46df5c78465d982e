"""Data and small victims made on the spot: faces with their networks and training recipes."""
