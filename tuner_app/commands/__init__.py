"""The command lines `python -m tuner_app.tune`, `predict` and `report`.

Owns options, exit codes and what is printed, and says in options what the library says in Python's words (`console`).
The work is done by the other folders; nothing heavy is imported before the options are known to be good.
"""
