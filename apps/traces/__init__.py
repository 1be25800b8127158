"""What happened: runs, exchanges and the bodies they refer to."""
