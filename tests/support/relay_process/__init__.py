"""A real relay process whose agent, tool and index are the test's own, down to the last byte."""
