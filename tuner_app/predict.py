"""The door of `python -m tuner_app.predict`; the command itself is in `commands.predict`."""

from tuner_app.commands import console
from tuner_app.commands.predict import main

if __name__ == "__main__":
    console.run_process(main)
