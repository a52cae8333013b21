"""Faces of a search for Keras Tuner and scikit-learn.

Owns the classes that users call, and Keras Tuner's oracle, trials and hyperparameters. The search itself is `search`.
"""
