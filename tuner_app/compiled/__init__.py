"""One call of `model.fit`, with each epoch run as one program.

Owns the programs, who may share them, what a fit's calls of `model.fit` did, and where callbacks write. Which fits
there are, and what becomes of their numbers, it does not know. The way in is `model_fit`.
"""

# The logger that says why a fit does not run as a program. The README tells users this name, so it is no module's.
LOGGER = "tuner_app.compiled.model_fit"
