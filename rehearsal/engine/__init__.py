"""The emulated Pulumi: an engine, and a provider that makes its resources real in an emulated world."""
