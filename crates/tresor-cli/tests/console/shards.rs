//! A store that is spread over shards.

use std::fs;

use tresor_testkit::TemporaryDirectory;

use crate::{complains_of_nothing, open, photograph, started};

#[test]
fn shards_are_listed_with_their_share() {
    let directory = TemporaryDirectory::new("console");
    let file = directory.join("tresor.toml");
    let shard = |name: &str| format!("[[shard]]\nname = {name:?}\nengine = \"memory\"\n");
    fs::write(&file, format!("{}{}", shard("north"), shard("south"))).unwrap();
    let Some((server, mut browser)) = started(&["--config", file.to_str().unwrap()]) else { return };
    let mut page = open(&mut browser, &server);
    page.click("#tab-server");
    page.says("#shards", "north");
    page.says("#shards", "south");
    page.says("#move", "No keys are being moved.");
    photograph(&mut page, "shards");
    complains_of_nothing(page);
}
