"""A web page that shows people as bodies in the world, live or from a file of results."""
