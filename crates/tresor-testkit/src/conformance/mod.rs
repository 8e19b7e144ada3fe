//! What every engine must do, as cases that any engine can be put through.
//!
//! A case takes a way to make an empty engine on a manual clock, uses the public interface alone and
//! panics when a promise is broken. What an engine says it cannot do is not asked of it.
//! [`conformance_tests!`](crate::conformance_tests) makes one test of each case.

pub mod adoption;
pub mod batches;
pub mod concurrency;
pub mod databases;
pub mod entries;
pub mod expiry;
pub mod guards;
pub mod histories;
pub mod indexes;
pub mod members;
pub mod moving_scans;
pub mod patches;
pub mod scans;
pub mod searches;
pub mod sizes;
mod subject;
pub mod updates;
pub mod versions;

use std::sync::Arc;

use tresor::engine::Engine;

pub use subject::{Row, Subject, check, delete, expire, guarded, key, member, patch, put, put_as};

use crate::ManualClock;

/// Makes an empty engine whose time is the clock's.
pub type Make<'m> = dyn Fn(&Arc<ManualClock>) -> Arc<dyn Engine> + 'm;

/// One promise, checked.
pub type Case = fn(&Make<'_>);

/// Makes one test of each case; `$with` is a `fn(Case)` that calls the case with a way to make the
/// engine, so that it can set up and tear down around it.
#[macro_export]
macro_rules! conformance_tests {
    ($with:ident) => {
        $crate::conformance_tests!(@topics $with;
            entries: an_unknown_key_is_absent put_creates_then_replaces put_replaces_kind_and_expiry
                delete_removes_once delete_leaves_the_others a_read_answers_key_by_key status_counts_keys
                a_closed_engine_is_unavailable durable_and_save_answer;
            guards: each_guard_on_each_change an_old_version_never_holds_again a_refusal_names_the_change
                a_check_changes_nothing;
            batches: an_empty_batch_is_whole a_batch_over_many_keys_is_whole one_failed_guard_stops_all
                a_batch_over_members_is_whole later_changes_see_earlier_ones the_last_put_of_a_key_wins
                guards_look_at_the_state_before clear_keeps_its_place_in_a_batch
                each_of_many_changes_stands_for_itself a_failure_among_many_is_its_own;
            patches: a_patch_writes_where_it_says a_patch_makes_raw_and_keeps_expiry
                a_patch_on_expired_starts_anew a_patch_works_at_every_size;
            expiry: expired_is_absent_at_once a_put_into_the_past_is_absent keep_keeps_the_expiry
                expire_sets_and_removes expire_on_absent_does_nothing changes_take_expired_for_absent
                each_of_many_expires_when_due removals_are_counted_by_their_lag what_expires_is_told;
            scans: any_order_shows_each_entry_once key_order_goes_both_ways bounds_cut_where_they_say
                a_page_shows_the_entry an_empty_database_scans_empty large_values_end_a_page
                a_page_can_begin_behind_nothing many_entries_scan_alike_in_every_order;
            moving_scans: growing_between_pages shrinking_between_pages churning_between_pages
                scanning_beside_a_writer;
            members: addresses_do_not_mix members_stand_in_order bounds_take_all_members members_change_alone;
            databases: sixteen_databases_are_apart clear_empties_one_database swap_exchanges_two_databases
                swaps_undo_each_other swap_keeps_its_place_in_a_batch versions_notice_clear_and_swap;
            searches: random_queries_agree_with_a_filter;
            indexes: indexes_change_no_answer an_index_follows_concurrent_writers;
            sizes: values_of_every_size a_value_of_64_mib keys_with_every_byte_value keys_of_every_length
                long_keys_and_large_values_together;
            updates: an_edit_sees_the_entry each_edit_does_its_change a_failed_edit_changes_nothing
                an_edit_changes_the_size;
            versions: versions_never_come_twice a_change_is_a_new_version a_sequence_covers_what_was_shown
                absence_covers_the_removal refusals_cover_what_they_met;
            adoption: adopted_entries_are_as_they_were later_changes_are_numbered_above what_is_newer_stays
                adopting_twice_is_adopting_once;
            histories: random_histories_agree_with_the_model;
            concurrency: every_increment_counts guarded_writers_do_not_overwrite one_of_many_creates
                batches_are_seen_whole a_read_is_of_one_moment transfers_keep_the_sum
                threads_do_not_disturb_each_other clear_and_swap_beside_writers members_are_seen_whole;
        );
    };
    (@topics $with:ident; $($topic:ident: $($case:ident)+;)+) => {
        $(mod $topic {
            $(#[test]
            fn $case() {
                super::$with($crate::conformance::$topic::$case);
            })+
        })+
    };
}

#[cfg(test)]
mod tests {
    const TOPICS: [&str; 15] = [
        include_str!("adoption.rs"),
        include_str!("batches.rs"),
        include_str!("concurrency.rs"),
        include_str!("databases.rs"),
        include_str!("entries.rs"),
        include_str!("expiry.rs"),
        include_str!("guards.rs"),
        include_str!("histories.rs"),
        include_str!("members.rs"),
        include_str!("moving_scans.rs"),
        include_str!("patches.rs"),
        include_str!("scans.rs"),
        include_str!("sizes.rs"),
        include_str!("updates.rs"),
        include_str!("versions.rs"),
    ];

    #[test]
    fn every_case_is_in_the_list() {
        let list = include_str!("mod.rs");
        for line in TOPICS.iter().flat_map(|topic| topic.lines()) {
            if let Some(name) =
                line.strip_prefix("pub fn ").and_then(|rest| rest.strip_suffix("(make: &Make<'_>) {"))
            {
                let listed = list.split_whitespace().any(|word| word.trim_end_matches(';') == name);
                assert!(listed, "{name} is not in conformance_tests!");
            }
        }
    }
}
