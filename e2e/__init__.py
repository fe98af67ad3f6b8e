"""The proof on a real account: a stack from preflight to check-clean, and AWS's refusals replayed. Costs money."""
