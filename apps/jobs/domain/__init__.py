"""The rules of work: states, lanes, retries, fairness, what a line must look like. Plain Python."""
