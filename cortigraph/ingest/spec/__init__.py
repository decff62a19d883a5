"""What a user may write in a job: items, mappings, tables of results, cards, and whether they can be right."""
