"""Accounts: users, their shops and roles."""
