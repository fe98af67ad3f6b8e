"""`python -m lls`: what to do before and after `up` that the guide leaves to the eye."""
