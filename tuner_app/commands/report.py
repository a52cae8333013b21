"""The command `python -m tuner_app.report`: the report of one search, written anew.

Owns its options and which search is meant; the page is made by `views.report`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from tuner_app.commands import options
from tuner_app.errors import ProjectError
from tuner_app.storage.project import Project, projects
from tuner_app.views.report import write_report


def main(argv: Sequence[str] | None = None) -> int:
    """The command `python -m tuner_app.report`.

    Args:
        argv: The options; None takes the process's own.

    Raises:
        ProjectError: There is nothing to report on.
        SearchError: Every candidate failed.
    """
    arguments = parser().parse_args(argv)
    if arguments.project_name is not None:
        project = Project(arguments.directory, arguments.project_name)
    else:
        project = _newest_search(arguments.directory)
    print(write_report(project))
    return 0


def parser() -> argparse.ArgumentParser:
    """The options of the command."""
    command = argparse.ArgumentParser(
        prog="python -m tuner_app.report",
        description="Write the report of a search as one HTML file and print its path.",
    )
    options.add_project(command, name="the project (default: the one searched last)")
    return command


def _newest_search(directory: str) -> Project:
    searched = [project for project in projects(directory) if project.exists()]
    if not searched:
        raise ProjectError(f"There is no search in {directory} yet. Run `python -m tuner_app.tune` first.")
    return max(searched, key=_last_change)


def _last_change(project: Project) -> float:
    files = (project.search_file, project.results_file, project.manifest_file)
    return max(file.stat().st_mtime for file in files if file.exists())
