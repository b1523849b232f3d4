"""Workers: short-lived processes for work that is slow or outside the agent, and their runner."""
