"""Attacks with gradients on classifiers: FGSM, BIM and PGD in whole grey levels."""
