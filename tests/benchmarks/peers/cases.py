"""What each tool is asked, case by case: the recall of these classes, and the floor."""

FLOORS = {"recall": 0.80, "perfect": 0.90, "phantom": 0.80, "phantom-shortcut": 0.80, "marker": 0.80}
SMALL = {"recall": (17, 20), "perfect": (12, 12)}
"""Cases that are a few answers: how many of the Covid images are predicted right, and of how many."""
MODELS = tuple(case for case in FLOORS if case not in SMALL)
"""Cases that are models, asked for each class."""
