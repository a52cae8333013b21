"""One call of `model.fit`, with each epoch run as one program.

Owns the programs, who may share them, and what a fit's calls of `model.fit` did. Which fits there are it does not know.
"""
