"""Events, signatures and the schedule of tries, in plain Python."""
