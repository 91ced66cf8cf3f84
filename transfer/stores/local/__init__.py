"""Local disks: walking trees, reading sources and landing downloads durably below one root."""
