"""One fit of one candidate on one fold.

Owns the way from a fold task to its record: copies, seeds, build, train, score. Which fits there are is the
business of `search`.
"""
