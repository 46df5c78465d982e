"""Road scenes drawn on the spot: a truck or a mannequin ahead of an approaching car, exact to the sub-pixel."""
