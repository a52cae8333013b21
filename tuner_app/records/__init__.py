"""What a search is made of: fold tasks, fold results, candidates, scores, the table.

Owns the records that every other folder hands on, and what is computed from them alone. NumPy only; knows no
files, no models and no screen.
"""
