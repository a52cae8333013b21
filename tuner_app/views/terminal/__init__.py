"""What a search says on the screen while it runs, and its summary.

Owns the lines and the live display; the numbers come from `records`. On a terminal a bar with the time left, the best
candidate and what runs now stays below one line per finished fit; in a file, a pipe or a notebook there are the lines
alone. Text that came from the user is shown as it is, never read as markup.
"""
