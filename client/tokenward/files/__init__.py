"""Files and folders of the user: read without waiting, replaced whole, closed to other users."""
