"""Tests of traces and of the page that shows them."""
