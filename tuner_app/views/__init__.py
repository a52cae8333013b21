"""What the eye sees of a search: the table's file (`results_file`), the screen (`terminal`), `tensorboard`, `report`.

Owns drawing and wording. All but the report are observers: told of a search in the main thread, after the journal has
it, and unable to change a result. Every number comes from `records` and `analysis`; which advice a number deserves is
decided there, too.
"""
