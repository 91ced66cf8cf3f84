"""Pictures of a report, by matplotlib. Imported only when asked for."""
