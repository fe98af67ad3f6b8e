"""What is run from the Makefile: the Pulumi CLI, and what writes the generated tables of docs/."""
