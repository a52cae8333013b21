"""The door of `python -m tuner_app.report`; the command itself is in `commands.report`."""

from tuner_app.commands import console
from tuner_app.commands.report import main

if __name__ == "__main__":
    console.run_process(main)
