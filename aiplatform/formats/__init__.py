"""How dates are written for people: the same everywhere, sortable, in UTC."""
