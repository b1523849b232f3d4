"""The relay's attacks as data, what they are sent to, and how what came of them is judged."""
