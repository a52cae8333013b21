"""Can you trust it? The notes at the top of a report: what is missing, what is open, what is well.

Owns the words. What they rest on is computed by `analysis`; what to try next, in the language of who made the search,
is worded by `analysis.advice`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from tuner_app.analysis.advice import next_values, unfinished_words
from tuner_app.analysis.comparison import Significance
from tuner_app.analysis.edges import EdgeWarning
from tuner_app.records.text import count_text, value_text, values_text
from tuner_app.views.report.findings import Findings, error_line
from tuner_app.views.report.parts import Code, Details, Note, Table, Words
from tuner_app.views.report.results import value_cells

MOST_ERRORS = 5
MOST_CONTENDERS = 20


def notes_of(findings: Findings) -> list[Note]:
    """All notes about a search, the most urgent first."""
    # Unfinished comes first: while candidates are missing, every other answer may still change.
    checks = (_unfinished, _edges, _failures, _close_calls, _other_models)
    return [note for check in checks for note in check(findings)]


def _unfinished(findings: Findings) -> Iterator[Note]:
    if not findings.standing.is_whole:
        yield Note("warning", "Unfinished.", [unfinished_words(findings.standing, options=findings.options)])


def _edges(findings: Findings) -> Iterator[Note]:
    for edge in findings.edges:
        yield Note("warning", "Edge of the grid.", _edge_words(edge, options=findings.options))
    if len(findings.edges) > 1:
        together = next_values(findings.edges, options=findings.options)
        yield Note("warning", "Beyond all these edges at once:", [Code(together)])
    # An unfinished search may still find its best at an edge, so only a whole one is praised.
    if not findings.edges and findings.ranking.varying and findings.standing.is_whole:
        words = "No hyperparameter's best value is at an end that could be moved further."
        yield Note("good", "Inside the grid.", [words])


def _edge_words(edge: EdgeWarning, *, options: bool) -> Words:
    tried = ", ".join(value_text(value) for value in edge.grid)
    close = " Values away from it come within one standard error, so little may be gained."
    in_python: Words = [", or in Python ", Code(next_values([edge], options=False))] if options else []
    return [
        f"The best {edge.name}, {value_text(edge.value)}, is the {edge.side} that was tried ({tried}). "
        f"A better one may lie beyond.{close if edge.inside_is_close else ''} Try next, under a new project name: ",
        Code(next_values([edge], options=options)),
        *in_python,
        ".",
    ]


def _failures(findings: Findings) -> Iterator[Note]:
    # Fits fail alike: the same traceback is shown once, with its count.
    errors = Counter(error for candidate in findings.record.candidates for error in candidate.errors)
    if not errors:
        yield Note("good", "No fit failed.")
        return
    shown = errors.most_common(MOST_ERRORS)
    more = f" The first {len(shown)} of {len(errors)} different errors:" if len(errors) > len(shown) else ""
    failed = f"{errors.total():,} of {count_text(findings.n_fits, 'fit')} failed"
    score = f"their score is set to {findings.record.rule.error_score}"
    details = [
        Details(f"{count_text(count, 'fit')}: {error_line(error)}", traceback=error.rstrip()) for error, count in shown
    ]
    yield Note("warning", "Failed fits.", [f"{failed}; {score}.{more}"], details)


def _close_calls(findings: Findings) -> Iterator[Note]:
    significance = findings.significance
    if significance.n_folds < 2:
        words = "It cannot say how far chance moves a score. Search with more folds."
        yield Note("warning", "One fold.", [words])
        return
    error = f"one standard error ({findings.number(significance.standard_error)})"
    rough = _rough(significance)
    if significance.contenders:
        others = count_text(len(significance.contenders), "other candidate")
        words = f"{others} within {error} of the best: these folds hardly tell them apart."
        label = "A tie." if findings.best.tied else "A close call."
        yield Note("warning", label, [f"{words}{_cheapest(findings)}{rough}"], [_contenders(findings)])
    elif significance.runner_up is not None:
        yield Note("good", "A clear lead.", [f"No other candidate is within {error} of the best.{rough}"])


def _cheapest(findings: Findings) -> str:
    """Which of the candidates that are as good is clearly quicker; empty where none is."""
    close = [row for row in findings.time.rows if row.candidate.trial_id in findings.close_trials]
    quickest = min(close, key=lambda row: row.seconds_per_fit)
    longest = next(row.seconds_per_fit for row in close if row.candidate.trial_id == findings.best.trial_id)
    # A tenth is what two runs of the same fit may differ by; it also keeps a search without times from dividing by 0.
    if quickest.seconds_per_fit >= 0.9 * longest:
        return ""
    share = quickest.seconds_per_fit / longest
    return f" {values_text(quickest.candidate.values)} trains in {share:.0%} of the best one's time."


def _rough(significance: Significance) -> str:
    """That few folds make the standard error rough as well; empty from ten folds on."""
    if significance.n_folds >= 10:
        return ""
    return (
        f" With {significance.n_folds} folds that error is itself rough (by about {significance.roughness:.0%}), "
        "and the best of many candidates is always a little lucky."
    )


def _contenders(findings: Findings) -> Details:
    rows = [
        [
            str(contender.candidate.rank),
            *value_cells(findings, contender.candidate),
            *(findings.number(value) for value in (contender.behind, contender.standard_error)),
            f"{contender.folds_won} of {findings.significance.n_folds}",
        ]
        for contender in findings.significance.contenders[:MOST_CONTENDERS]
    ]
    columns = ["Behind the best", "Standard error of the difference", "Folds won against it"]
    head = ["Rank", *findings.ranking.space, *columns]
    table = Table("Candidates close to the best, compared over the same folds", head, rows)
    return Details("Fold by fold (the one-standard-error rule of Breiman et al., 1984)", table)


def _other_models(findings: Findings) -> Iterator[Note]:
    if findings.manifest_problem is not None:
        yield Note("warning", "The saved model is left out.", [findings.manifest_problem])
    refit = findings.manifest.get("hyperparameters")
    if isinstance(refit, Mapping) and any(refit.get(name) != value for name, value in findings.best.values.items()):
        yield Note("warning", "Another model.", [f"The saved model has {values_text(refit)}, not the best."])
