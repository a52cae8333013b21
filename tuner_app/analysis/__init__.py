"""What the records of a search say, without drawing it.

Owns the numbers and the words of advice that views show. Reads records and the journal, changes nothing.
"""
