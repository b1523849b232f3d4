"""The tools that publish and install: where they come from, where they run, what each of them does."""
