"""One fit of one candidate, on a fold or on all rows.

Owns the way from a `FoldTask` to its `FoldResult` (`fitter`; `spec` is what all fits share): copies, seeds, build,
train, score, failures; and what can be said of the fits before the first one (`probe`, `fit_checks`, `fingerprint`).
Leaves which fits there are to `search`, how an epoch runs to `compiled`, what lies on disk to `storage`.
"""
