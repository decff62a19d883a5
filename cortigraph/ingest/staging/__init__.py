"""From a job to elements: read, checked against each other and the graph, and folded."""
