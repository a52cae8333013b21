"""The order of events of a search.

Owns the loop, which fit runs next, how long one may take, when the refit begins, and who is told what. Knows no Keras
Tuner, no files of its own, no screen.
"""
