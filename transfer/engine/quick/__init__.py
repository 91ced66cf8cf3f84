"""The short way of small objects: their requests follow one another in callbacks of the loop, without tasks."""
