"""`auth setup`: files written once per user, by which tools find tokenward."""
