//! The sessions of `docs/line-protocol.md`, line by line.

use crate::{
    holds,
    running::{line_client, server},
};

const PAGE: &str = include_str!("../../../../docs/line-protocol.md");

#[test]
fn what_the_page_shows_is_what_happens() {
    let server = server();
    let mut client = line_client(&server);
    let blocks = PAGE.split("```session\n").skip(1);
    let lines: Vec<&str> =
        blocks.flat_map(|block| block.split("```").next().into_iter().flat_map(str::lines)).collect();
    let (steps, rest) = lines.as_chunks::<2>();
    assert!(steps.len() > 20 && rest.is_empty(), "{lines:#?}");
    for [line, answer] in steps {
        holds(&mut client, &[(line, answer)]);
    }
}
