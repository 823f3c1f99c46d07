"""From an action to a control: position targets for servos, stable PD, and the muscles that share a torque."""
