"""Scripts that run in another process or another interpreter and print one JSON document. Nothing imports them."""
