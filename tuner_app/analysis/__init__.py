"""What the records of a search say, without drawing it.

Owns the numbers behind every plot and table (`ranking`, `comparison`, `edges`, `effects`, `curves`, `costs`,
`confusion`, over the values of `space`) and the words of `advice`. Reads records and the journal, changes nothing,
loads neither TensorFlow nor matplotlib. Scores and ranks come from `records`; drawing belongs to `views`.
"""
