"""Frozen values that every layer speaks in. This package imports nothing of ours and never awaits, opens or logs."""
