"""Many simulations of one robot behind one seam, and what is written into their models."""
