"""From an action to a control: position targets for servos."""
