//! Test repositories: the golden ones, damaged ones, and trees to compare with
