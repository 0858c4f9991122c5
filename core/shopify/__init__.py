"""Shopify, spoken to: the only room that imports the SDK, and one that knows no tables."""
