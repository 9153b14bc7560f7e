"""The browser in which pages of traces are opened."""

from tests.support.browser import browser as browser
