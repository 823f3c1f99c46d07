"""From a captured skeleton to a clip on one of our bodies."""
