"""Tools without domain words; no tables, no Django app."""
