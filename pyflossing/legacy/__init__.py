"""The original's functions under their own names and argument orders."""
