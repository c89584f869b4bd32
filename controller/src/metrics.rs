//! What the controller counts.
