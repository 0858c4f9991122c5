"""What pages are made of: the only room in core that imports streamlit."""
