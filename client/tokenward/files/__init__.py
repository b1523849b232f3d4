"""Files and folders of the user's own: read without waiting, replaced whole, made for nobody else."""
