"""Put a flat canvas onto a flat face of a scene: homography, area filtering, light, occluders (RULES.md B).

Coordinates are continuous: pixel (column 0, row 0) covers [0, 1) x [0, 1), its centre is (0.5, 0.5). The same holds on
the canvas, so its corners are (0, 0), (w, 0), (w, h) and (0, h), in this order everywhere.
"""
