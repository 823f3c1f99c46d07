"""What may be done, and by whom: the functions that the REST interface and the pages call."""
