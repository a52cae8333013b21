"""The door of `python -m tuner_app.tune`; the command itself is in `commands.tune`."""

from tuner_app.commands import console
from tuner_app.commands.tune import main

if __name__ == "__main__":
    console.run_process(main)
