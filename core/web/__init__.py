"""HTTP beside the dashboard."""
