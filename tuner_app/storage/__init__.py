"""A project on disk: its folder, its lock, its journal, what was asked, the model and its manifest.

Owns every file name and how a file is written whole and believed again. What is in a record belongs to `records`.
"""
