"""Helpers of ``tools/train_detector.py`` and ``tools/eval_detector.py``: data, teachers, training, export, scoring."""
