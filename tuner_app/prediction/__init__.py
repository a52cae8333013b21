"""The tuned model at work: loaded, checked, asked.

Owns the predictor and what it got wrong. Training belongs to `training`, the files to `storage`.
"""
