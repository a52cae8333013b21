"""The door of `python -m tuner_app.predict`; the command itself is in `commands.predict`."""

import sys

from tuner_app.commands import console
from tuner_app.commands.predict import main

if __name__ == "__main__":
    sys.exit(console.run(main))
