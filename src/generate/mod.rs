//! Generate: synthetic archives of any size.
