"""`auth exec`: the environment for a tool, and the judgement of its command line."""
