"""The web pages: what people see of the house in a browser."""
