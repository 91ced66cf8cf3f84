"""The scheduler and one strategy for each direction; the only layer that knows stores, wire, plan and integrity."""
