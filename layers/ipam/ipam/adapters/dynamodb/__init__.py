"""The table: its keys, its items, and the store on top of them."""
