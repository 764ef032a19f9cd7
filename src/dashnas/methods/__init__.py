"""Methods that are compared with each other, behind one interface."""
