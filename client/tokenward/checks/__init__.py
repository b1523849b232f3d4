"""What `auth doctor` looks at: each module proves one kind of thing and returns findings."""
