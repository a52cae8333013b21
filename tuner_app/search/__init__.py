"""The order of events of a search.

Owns the loop, which fit runs next, and who is told what. Knows no Keras Tuner, no files of its own, no screen.
"""
