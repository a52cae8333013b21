"""What the eye sees of a search: the table's file, the screen, TensorBoard, the report.

Owns drawing and wording; every number comes from `records` and `analysis`.
"""
