"""What cannot be reported."""

from __future__ import annotations

import pathlib

import pytest
from support.written_searches import itertools_all, nodes, write_search

from tuner_app.errors import ProjectError, SearchError
from tuner_app.views.report import write_report


def test_the_errors_have_their_types(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ProjectError, match=r"no finished candidate yet\. Call search\(\) again to continue"):
        write_report(write_search(tmp_path, [], lambda v, k: 0))
    with pytest.raises(SearchError, match="nothing to report"):
        write_report(write_search(tmp_path, nodes(1), lambda v, k: 0, failed=itertools_all(1), name="b"))
