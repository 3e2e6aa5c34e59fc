"""The console's HTTP routes, one module a resource."""
