"""The checks of `auth doctor`: each module tests one kind of thing and returns findings."""
