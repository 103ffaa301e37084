//! Restores of repositories that the tests write themselves: what kopia would never write, and targets that nobody wants.

mod common;
mod damage;
mod deep;
mod existing;
mod hostile;
mod living;
mod reading;
mod writing;
