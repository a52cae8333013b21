"""Where rows come from, and the one visit to them before a search.

Owns data sets (`datasets`), CSV files (`tables`, with a `second_look` for odd ones), what features and targets may be,
and what a target is; every message about bad ones is here. `prepare` looks at all that a search was given.
What a fold is belongs to `folds`, how a model is asked about its outputs to `training`.
"""
