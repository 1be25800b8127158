"""The HTTP doors to work, split by what they open on."""
