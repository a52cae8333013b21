"""How each contender of a search does its work, a module each, with what its own documentation advises.

Owns what runs inside a contender's process. Its command line is `peers`, the processes around it `processes`, what is
searched `workloads`. Heavy imports stand inside the functions, where the clock sees them.
"""
