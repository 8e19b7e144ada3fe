//! JSON documents as programs keep them, for what is measured on values that compress.
//!
//! Field names and words repeat, numbers and identifiers do not; all of it follows from one number, so
//! that every run and every peer has the same.

use crate::own_cost::next;

/// An order as a shop keeps it, about 1 KB; the next one for each call with the same `random`, which must
/// not be 0.
pub fn order(random: &mut u64) -> String {
    const NAMES: [&str; 12] = [
        "Alice", "Robert", "Caroline", "David", "Erin", "Frank", "Grace", "Heidi", "Ivan", "Judith",
        "Mallory", "Olivia",
    ];
    const THINGS: [&str; 12] = [
        "keyboard",
        "monitor",
        "cable",
        "notebook",
        "lamp",
        "chair",
        "desk",
        "mouse",
        "printer",
        "headphones",
        "backpack",
        "tripod",
    ];
    let mut below = |end: u64| next(random) % end;
    let items = (0..7).map(|_| {
        let (name, quantity, price) = (THINGS[below(12) as usize], 1 + below(9), below(50_000));
        format!(
            r#"{{"sku":"{:06}","name":"{name}","quantity":{quantity},"unit_price":{}.{:02},"discount":null}}"#,
            below(1_000_000),
            price / 100,
            price % 100
        )
    });
    let items: Vec<String> = items.collect();
    let (first, last) = (NAMES[below(12) as usize], NAMES[below(12) as usize]);
    format!(
        r#"{{"id":"{:012x}","created_at":"2026-{:02}-{:02}T{:02}:{:02}:{:02}Z","status":"shipped","customer":{{"id":{},"first_name":"{first}","last_name":"{last}","email":"{}.{}@example.com","phone":"+44 20 {:07}"}},"shipping_address":{{"street":"{} High Street","city":"London","postcode":"{:05}","country":"GB"}},"items":[{}],"currency":"EUR","paid":true}}"#,
        below(1 << 48),
        1 + below(12),
        1 + below(28),
        below(24),
        below(60),
        below(60),
        below(1_000_000),
        first.to_lowercase(),
        last.to_lowercase(),
        below(10_000_000),
        1 + below(200),
        below(100_000),
        items.join(",")
    )
}
