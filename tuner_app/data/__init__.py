"""Where rows come from, and the one visit to them before a search.

Owns data sets, tables, features and targets, and every message about bad ones. What a fold is belongs to `folds`.
"""
