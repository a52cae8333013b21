"""The command lines.

Owns options, exit codes and what is printed. The work is done by the other folders.
"""
