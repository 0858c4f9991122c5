"""Figures as files: Excel, images and PDF; knows no pages, so a worker can make them too."""
