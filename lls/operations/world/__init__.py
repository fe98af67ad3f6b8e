"""What exists: account, states, cluster, and whose it is."""
