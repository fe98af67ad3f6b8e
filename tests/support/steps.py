"""The steps of the proof on a real account."""

ALL = ["preflight", "up", "verify", "drift", "up again", "refresh", "refusals", "destroy", "check-clean"]
"""Those of a run in which all goes on to the next, in order."""
