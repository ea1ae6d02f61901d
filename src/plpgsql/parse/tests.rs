//! Bodies and their trees.
