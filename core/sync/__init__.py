"""Shopify to tables: what is fetched, how it is stored, when it runs."""
