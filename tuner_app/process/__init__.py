"""The process around a search: how TensorFlow is loaded, its threads and devices, signals, versions.

Owns what belongs to the whole process rather than to one search: `loading` and `devices` before TensorFlow starts,
`signals` and `fit_threads` for its end. Loads nothing heavy by itself.
"""
