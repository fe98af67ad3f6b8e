"""The emulated providers as plugins of a real Pulumi engine."""
