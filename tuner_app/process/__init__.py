"""The process around a search: how TensorFlow is loaded, its threads and devices, signals, versions.

Owns what belongs to the whole process rather than to one search: `loading` (with `noise` and `collector`) and
`devices` before TensorFlow starts, `signals`, `fit_threads` and `teardown` for its end. Loads nothing heavy by itself.
"""
