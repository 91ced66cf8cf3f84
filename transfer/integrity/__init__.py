"""Checksums: computing them, combining those of parts, and deciding what a download can be verified by."""
