"""How fast the stack is, next to what is possible and to the guide's commands by hand."""
