"""The record of what a killed run has finished, on disk, so that the same command run again continues."""
