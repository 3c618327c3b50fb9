"""What describes a bundle: the recipe that a person writes, and the lock that pins it."""
