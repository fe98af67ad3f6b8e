"""The program as data: what it registers, its stack files, and what answers its look-ups."""
