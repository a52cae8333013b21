"""One fit of one candidate, on a fold or on all rows.

Owns the way from a `FoldTask` to its `FoldResult` (`fitter`, with `spec` for what all fits share): copies, seeds, build,
train, score, failures; and what can be said of the fits before the first one (`probe`, `fit_checks`, `fingerprint`).
Which fits there are is the business of `search`, how an epoch runs that of `compiled`, what is on disk that of `storage`.
"""
