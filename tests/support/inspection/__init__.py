"""Looks from outside: at processes, their memory and system calls, and at the files they leave."""
