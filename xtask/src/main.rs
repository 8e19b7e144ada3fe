//! The project own chores.

fn main() {}
