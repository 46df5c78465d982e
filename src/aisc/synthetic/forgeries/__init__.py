"""Faces as different generators would leave them, for deepfake source identification (RULES.md A)."""

from aisc.synthetic.forgeries.sets import make_task, make_training_set

__all__ = ["make_task", "make_training_set"]
