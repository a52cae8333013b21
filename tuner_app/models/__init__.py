"""Models for who brings none, and the layers that a saved model may hold.

Owns hypermodels and preprocessing layers; how they are trained belongs to `training`.
"""
