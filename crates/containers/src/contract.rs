//! The promises of the seam as tests over any factory.
