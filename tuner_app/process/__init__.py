"""The process around a search: how TensorFlow is loaded, its threads and devices, signals, versions.

Owns what belongs to the whole process rather than to one search. Loads nothing heavy by itself.
"""
