"""Whatever a user gives: every command ends with 0 or 2, says one thing, and leaves nothing half-written."""
