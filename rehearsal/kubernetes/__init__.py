"""The emulated Kubernetes: a cluster's state, its API, and the commands that reach it."""
