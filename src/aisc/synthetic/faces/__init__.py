"""Procedural faces: who (identity), how the picture was taken (shot), the renderer, pairs and the networks' recipe."""
