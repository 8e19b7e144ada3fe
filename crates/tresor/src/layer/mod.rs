//! Layers: engines that hold an engine, and change how it does its work but not what it promises.
//!
//! A layer needs no trait of its own: whoever holds an engine cannot tell whether it is one. So layers
//! are put on one another in any number, and each passes the engines' conformance suite.

pub mod cached;
pub(crate) mod stack;
