"""Rows and splits: how arrays become folds.

Owns nested arrays, their checks and fingerprints, and the splits made by scikit-learn. Knows no files and no models.
"""
