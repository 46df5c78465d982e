"""Faces to recognise and to describe: splits with people, attributes and targets, and the four baseline classifiers."""
