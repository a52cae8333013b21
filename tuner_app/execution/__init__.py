"""Where fits run.

Owns the `Executor` interface and its implementations. What a fit is belongs to `training`, which comes next to
`search`.
"""
