"""MotionNN: supervised models of motion, trained on clips and judged by rollouts."""
