"""A rehearsal of the stack that needs no account: the real program against an emulated AWS and Kubernetes."""
