"""Short-lived processes for what is slow or talks to the world, and how the agent runs them."""
