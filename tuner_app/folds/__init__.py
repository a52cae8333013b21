"""Rows and splits: how arrays become folds.

Owns nested arrays, their checks and fingerprints, and the splits, which scikit-learn's splitters make. Knows no files,
no models, and of a target only what a splitter looks at.
"""
