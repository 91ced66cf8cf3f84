"""What the operating system offers, under one name on every platform. It knows descriptors, never what they are for."""
