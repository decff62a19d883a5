"""The region selector: what a region may be expected to score on a data set, how sure that is, and why."""
