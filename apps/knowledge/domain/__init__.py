"""Rules of documents: what is read of them, how it is cut up, why one is refused."""
