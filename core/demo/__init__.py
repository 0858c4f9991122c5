"""A small Shopify: answers the HTTP requests of core.shopify from a deterministic store."""
