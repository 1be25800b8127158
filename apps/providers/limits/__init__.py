"""What all pumps share about a provider or a target: permits, blocks, concurrency, the breaker. It lives in Redis, in one hash a bucket."""
