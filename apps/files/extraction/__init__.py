"""Reading what others made: programs of their own, with little memory and time, because such files may be hostile."""
