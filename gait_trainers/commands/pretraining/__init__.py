"""Commands of pre-training: models of motion, RefNN and Backward GaitNet."""
