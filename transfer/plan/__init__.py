"""Pure decisions: given values, answer what to do. Nothing here awaits, opens a file, reads a clock or logs."""
