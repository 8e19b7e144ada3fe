//! Small histories of which everybody can see whether they are linearizable.
//!
//! Times are written out, so each test is the picture of one anomaly, or of one that only looks so.

use std::time::Duration;

use super::{Answer, Finding, History, Operation, Outcome, Record, Violation, check, check_within};

/// A history of one key; each operation has a client of its own.
struct Story(History);

fn text(value: &str) -> Vec<u8> {
    value.as_bytes().to_vec()
}

fn set(value: &str) -> Operation {
    Operation::Set(text(value))
}

fn set_if_absent(value: &str) -> Operation {
    Operation::SetIfAbsent(text(value))
}

fn swap(expected: &str, new: &str) -> Operation {
    Operation::CompareAndSet { expected: text(expected), new: text(new) }
}

fn holds(value: &str) -> Answer {
    Answer::Value(Some(text(value)))
}

const ABSENT: Answer = Answer::Value(None);
const YES: Answer = Answer::Applied(true);
const NO: Answer = Answer::Applied(false);

impl Story {
    fn new() -> Self {
        Self(History::new())
    }

    fn add(self, key: &str, operation: Operation, called: u64, outcome: Outcome) -> Self {
        let client = self.0.records().len() as u64;
        let called = Duration::from_millis(called);
        self.0.add(Record { client, key: text(key), operation, called, outcome });
        self
    }

    fn saw(self, from: u64, to: u64, operation: Operation, answer: Answer) -> Self {
        self.add("k", operation, from, Outcome::Answered(answer, Duration::from_millis(to)))
    }

    fn lost(self, from: u64, operation: Operation) -> Self {
        self.add("k", operation, from, Outcome::Unknown)
    }

    fn failed(self, from: u64, operation: Operation) -> Self {
        self.add("k", operation, from, Outcome::Failed)
    }

    fn holds(self) {
        check(&self.0).expect("the story is possible");
    }

    /// Fails when the operation that was called at this time is answered.
    fn breaks(self, called: u64) -> Box<Violation> {
        match check(&self.0) {
            Err(Finding::Violation(violation)) => {
                assert_eq!(violation.answered.called, Duration::from_millis(called), "{violation}");
                violation
            }
            other => panic!("a violation was to be found, not {other:?}"),
        }
    }
}

#[test]
fn an_empty_history_holds() {
    assert_eq!(check(&History::new()).expect("nothing is wrong").keys, []);
}

#[test]
fn one_client_sees_what_it_does() {
    Story::new()
        .saw(0, 1, Operation::Get, ABSENT)
        .saw(2, 3, Operation::Delete, NO)
        .saw(4, 5, Operation::Expire, NO)
        .saw(6, 7, Operation::Increment, Answer::Number(1))
        .saw(8, 9, Operation::Increment, Answer::Number(2))
        .saw(10, 11, Operation::Get, holds("2"))
        .saw(12, 13, swap("2", "x"), YES)
        .saw(14, 15, swap("2", "y"), NO)
        .saw(16, 17, Operation::Increment, Answer::NotAnInteger)
        .saw(18, 19, set_if_absent("z"), NO)
        .saw(20, 21, Operation::Expire, YES)
        .saw(22, 23, Operation::Delete, YES)
        .saw(24, 25, set_if_absent("9223372036854775807"), YES)
        .saw(26, 27, Operation::Increment, Answer::NotAnInteger)
        .saw(28, 29, Operation::Get, holds("9223372036854775807"))
        .holds();
}

#[test]
fn a_read_beside_a_write_sees_either() {
    for seen in [ABSENT, holds("a")] {
        Story::new().saw(0, 10, set("a"), Answer::Done).saw(5, 6, Operation::Get, seen).holds();
    }
}

#[test]
fn calls_and_returns_at_the_same_time_are_concurrent() {
    Story::new().saw(0, 5, set("a"), Answer::Done).saw(5, 6, Operation::Get, ABSENT).holds();
}

#[test]
fn a_stale_read_breaks() {
    let violation = Story::new()
        .saw(0, 1, set("a"), Answer::Done)
        .saw(2, 3, set("b"), Answer::Done)
        .saw(4, 5, Operation::Get, holds("a"))
        .saw(6, 7, set("c"), Answer::Done)
        .breaks(4);
    assert_eq!(violation.prefix.len(), 3);
    let printed = violation.to_string();
    assert!(
        printed.contains(r#"only have been: "b", a value"#) || printed.contains("not read later"),
        "{printed}"
    );
    assert!(printed.contains(r#">    0.004000 to    0.005000 s  client 2: get -> "a""#), "{printed}");
}

#[test]
fn reads_that_go_back_in_time_break() {
    Story::new()
        .saw(0, 1, set("a"), Answer::Done)
        .saw(2, 20, set("b"), Answer::Done)
        .saw(3, 4, Operation::Get, holds("b"))
        .saw(5, 6, Operation::Get, holds("a"))
        .breaks(5);
}

#[test]
fn a_lost_update_breaks() {
    Story::new()
        .saw(0, 10, Operation::Increment, Answer::Number(1))
        .saw(1, 11, Operation::Increment, Answer::Number(1))
        .breaks(1);
}

#[test]
fn a_lost_acknowledged_write_breaks() {
    Story::new().saw(0, 1, set("a"), Answer::Done).saw(2, 3, Operation::Get, ABSENT).breaks(2);
    Story::new().saw(0, 1, set("a"), Answer::Done).saw(2, 3, set_if_absent("b"), YES).breaks(2);
}

#[test]
fn a_resurrected_key_breaks() {
    Story::new()
        .saw(0, 1, set("a"), Answer::Done)
        .saw(2, 3, Operation::Delete, YES)
        .saw(4, 5, Operation::Get, holds("a"))
        .breaks(4);
}

#[test]
fn two_that_both_win_break() {
    Story::new()
        .saw(0, 1, set("a"), Answer::Done)
        .saw(2, 9, swap("a", "b"), YES)
        .saw(3, 8, swap("a", "c"), YES)
        .breaks(2);
    Story::new().saw(2, 9, set_if_absent("b"), YES).saw(3, 8, set_if_absent("c"), YES).breaks(2);
    Story::new()
        .saw(0, 1, set("a"), Answer::Done)
        .saw(2, 9, Operation::Delete, YES)
        .saw(3, 8, Operation::Delete, YES)
        .breaks(2);
}

#[test]
fn two_can_win_with_a_third_between_them() {
    Story::new()
        .saw(0, 1, set("a"), Answer::Done)
        .saw(2, 9, swap("a", "b"), YES)
        .saw(3, 8, swap("a", "c"), YES)
        .saw(4, 7, set("a"), Answer::Done)
        .holds();
}

#[test]
fn an_unknown_write_may_be_seen_at_any_later_time_or_never() {
    let story = || Story::new().saw(0, 1, set("a"), Answer::Done).lost(2, set("b"));
    story().saw(50, 51, Operation::Get, holds("a")).saw(52, 53, Operation::Get, holds("b")).holds();
    story().saw(50, 51, Operation::Get, holds("a")).saw(52, 53, Operation::Get, holds("a")).holds();
    story().saw(4, 5, Operation::Get, holds("b")).saw(6, 7, Operation::Get, holds("a")).breaks(6);
    Story::new().saw(0, 1, Operation::Get, holds("b")).lost(2, set("b")).breaks(0);
}

#[test]
fn an_unknown_write_happens_once() {
    let story = || {
        Story::new()
            .lost(0, set("b"))
            .saw(1, 2, Operation::Get, holds("b"))
            .saw(3, 4, Operation::Delete, YES)
            .saw(5, 6, Operation::Get, ABSENT)
    };
    story().saw(7, 8, Operation::Get, holds("b")).breaks(7);
    story().lost(0, set("b")).saw(7, 8, Operation::Get, holds("b")).holds();
    story().saw(7, 8, Operation::Expire, YES).breaks(7);
}

#[test]
fn unknown_increments_count_at_most_once_each() {
    let story = |answer| {
        let story = Story::new().lost(0, Operation::Increment).lost(0, Operation::Increment);
        story.saw(5, 6, Operation::Increment, Answer::Number(answer))
    };
    story(1).holds();
    story(2).holds();
    story(3).holds();
    story(4).breaks(5);
}

#[test]
fn an_unknown_condition_is_met_or_nothing_happens() {
    let story = |seen| {
        let story = Story::new().saw(0, 1, set("a"), Answer::Done).lost(2, swap("b", "c"));
        story.saw(3, 4, Operation::Get, holds(seen))
    };
    story("a").holds();
    story("c").breaks(3);
    story("a").saw(5, 6, set("b"), Answer::Done).saw(7, 8, Operation::Get, holds("c")).holds();
}

#[test]
fn an_unknown_condition_may_be_met_by_unknown_increments() {
    let read = |story: Story, at, seen| story.saw(at, at + 1, Operation::Get, holds(seen));
    let story = Story::new().saw(0, 1, set("1"), Answer::Done).lost(2, swap("2", "x"));
    read(read(story, 3, "1").lost(5, Operation::Increment), 6, "x").holds();
    let story = Story::new().lost(0, swap("1", "x")).saw(1, 2, Operation::Get, ABSENT);
    read(story.lost(3, Operation::Increment), 4, "x").holds();
}

#[test]
fn unknown_writes_are_counted_apart() {
    Story::new()
        .lost(0, swap("never there", "c"))
        .lost(0, set("a"))
        .lost(0, set("b"))
        .saw(1, 2, Operation::Expire, YES)
        .saw(3, 4, Operation::Get, holds("b"))
        .saw(5, 6, Operation::Delete, YES)
        .saw(7, 8, Operation::Get, holds("b"))
        .breaks(7);
}

#[test]
fn unknown_writes_are_counted_together_once_nobody_tells_them_apart() {
    let nobody_reads =
        |story: Story, at| story.saw(at, at + 1, swap("a", "x"), NO).saw(at + 2, at + 3, swap("b", "x"), NO);
    let is_there_once = |story: Story, at| {
        story.saw(at, at + 1, Operation::Expire, YES).saw(at + 2, at + 3, Operation::Delete, YES)
    };
    let lost = || Story::new().lost(0, set("a")).lost(0, set("b"));
    let used_after = || is_there_once(is_there_once(nobody_reads(lost(), 1), 5), 9);
    used_after().holds();
    is_there_once(used_after(), 13).breaks(13);
    let used_before = || is_there_once(nobody_reads(is_there_once(lost(), 1), 5), 9);
    used_before().holds();
    is_there_once(used_before(), 13).breaks(13);
}

#[test]
fn of_two_alike_either_may_be_the_one_that_is_seen() {
    Story::new()
        .saw(0, 20, set("a"), Answer::Done)
        .saw(1, 2, set("b"), Answer::Done)
        .saw(3, 4, Operation::Get, holds("b"))
        .saw(5, 30, set("a"), Answer::Done)
        .saw(8, 9, swap("a", "c"), YES)
        .saw(31, 32, Operation::Get, holds("c"))
        .holds();
}

#[test]
fn the_greatest_number_cannot_be_incremented() {
    let story = |value| Story::new().saw(0, 1, set(value), Answer::Done);
    story("9223372036854775807").saw(2, 3, Operation::Increment, Answer::NotAnInteger).holds();
    story("9223372036854775806").saw(2, 3, Operation::Increment, Answer::NotAnInteger).breaks(2);
    story("01").saw(2, 3, Operation::Increment, Answer::NotAnInteger).holds();
}

#[test]
fn a_failed_write_is_never_seen() {
    Story::new().failed(0, set("a")).saw(1, 2, Operation::Get, ABSENT).holds();
    Story::new().failed(0, set("a")).saw(1, 2, Operation::Get, holds("a")).breaks(1);
}

#[test]
fn keys_are_checked_on_their_own() {
    let done = |at| Outcome::Answered(Answer::Done, Duration::from_millis(at));
    let read = Outcome::Answered(ABSENT, Duration::from_millis(9));
    let story = Story::new().add("a", set("x"), 0, done(1)).add("b", set("x"), 2, done(3));
    let story = story.add("c", Operation::Get, 8, read.clone()).add("c", Operation::Get, 8, Outcome::Unknown);
    let report = check(&story.0).expect("the story is possible");
    assert_eq!((report.keys.len(), report.operations(), report.unknown()), (3, 3, 0));
    let Err(Finding::Violation(violation)) = check(&story.add("b", Operation::Get, 8, read).0) else {
        panic!("the write to b was lost");
    };
    assert_eq!(violation.key, b"b");
}

#[test]
fn a_limit_leaves_it_undecided() {
    let mut story = Story::new();
    for number in 0..12 {
        story = story.saw(number, 100, set(&number.to_string()), Answer::Done);
    }
    story = story.saw(101, 102, Operation::Get, holds("x"));
    match check_within(&story.0, 10) {
        Err(Finding::Undecided(keys)) => assert_eq!((keys.len(), keys[0].report.operations), (1, 13)),
        other => panic!("undecided was to be found, not {other:?}"),
    }
    story.breaks(101);
}

#[test]
fn a_recorder_takes_calls_as_they_end() {
    let history = History::new();
    history.begin(0, "k", set("a")).ok(Answer::Done);
    history.begin(0, "k", set("b")).failed();
    history.begin(0, "k", set("c")).unknown();
    let open = history.begin(1, "k", Operation::Delete);
    history.begin(0, "k", Operation::Get).ok(holds("a"));
    assert_eq!(check(&history).expect("the story is possible").unknown(), 2);
    history.begin(2, "k", Operation::Get).ok(ABSENT);
    history.begin(2, "k", Operation::Get).ok(holds("c"));
    check(&history).expect("the story is possible");
    open.ok(NO);
    check(&history).expect_err("somebody deleted it");
}

#[test]
#[should_panic(expected = "does not answer")]
fn an_answer_to_another_question_is_refused() {
    History::new().begin(0, "k", Operation::Get).ok(Answer::Done);
}
