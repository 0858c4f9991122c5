"""Tables, sessions and the rules about stored rows: imports no other room."""
