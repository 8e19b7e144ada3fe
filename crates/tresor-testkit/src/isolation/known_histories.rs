//! Small histories, good and bad; each bad one is found to be just what it is.

use std::time::Duration;

use super::{
    Finding, Operation, Outcome,
    Phenomenon::{
        self, AbortedRead, CircularInformation, DirtyWrite, Duplicate, IncompatibleOrder, IntermediateRead,
        Internal, LostUpdate, LostWrite, Phantom, ReadSkew, Unexplained, Unwritten, WriteSkew, WrongTotal,
    },
    Transaction, check, check_totals,
};

pub(super) fn append(key: &str, element: u64) -> Operation {
    Operation::Append { key: key.into(), element }
}

pub(super) fn list(key: &str, elements: &[u64]) -> Operation {
    Operation::ReadList { key: key.into(), elements: elements.into() }
}

pub(super) fn write(key: &str, value: u64) -> Operation {
    Operation::Write { key: key.into(), value }
}

pub(super) fn read(key: &str, value: impl Into<Option<u64>>) -> Operation {
    Operation::Read { key: key.into(), value: value.into() }
}

pub(super) fn insert(key: &str, member: u64) -> Operation {
    Operation::Insert { key: key.into(), member }
}

pub(super) fn all(key: &str, members: &[u64]) -> Operation {
    Operation::ReadSet { key: key.into(), members: members.into() }
}

/// A transaction from one time to another.
fn ended(outcome: Outcome, times: (u64, u64), operations: &[Operation]) -> Transaction {
    let [began, ended] = [times.0, times.1].map(Duration::from_millis);
    Transaction { process: 0, began, ended, operations: operations.into(), outcome }
}

fn committed(times: (u64, u64), operations: &[Operation]) -> Transaction {
    ended(Outcome::Committed, times, operations)
}

/// A committed transaction beside all others that are made so.
fn beside(operations: &[Operation]) -> Transaction {
    committed((0, 100), operations)
}

/// One that comes after all others.
fn late(operations: &[Operation]) -> Transaction {
    committed((200, 300), operations)
}

/// Each anomaly found, and whether it is one by real time only.
fn found(transactions: &[Transaction]) -> Vec<(Phenomenon, bool)> {
    match check(transactions) {
        Ok(_) => Vec::new(),
        Err(Finding::Undecided(report)) => panic!("undecided: {report}"),
        Err(Finding::Anomalies(anomalies)) => {
            let mut found: Vec<_> = anomalies.iter().map(|each| (each.phenomenon, each.real_time)).collect();
            found.sort_unstable();
            found.dedup();
            found
        }
    }
}

#[track_caller]
fn is_good(transactions: &[Transaction]) {
    check(transactions).expect("it is strictly serializable");
}

/// The anomaly is there, whatever else is.
#[track_caller]
fn is(phenomenon: Phenomenon, transactions: &[Transaction]) {
    let found = found(transactions);
    assert!(found.contains(&(phenomenon, false)), "{found:?}");
}

/// There is nothing but this anomaly, which is none but for real time.
#[track_caller]
fn is_only_by_real_time(phenomenon: Phenomenon, transactions: &[Transaction]) {
    assert_eq!(found(transactions), [(phenomenon, true)]);
}

/// There is nothing but this anomaly.
#[track_caller]
fn is_just(phenomenon: Phenomenon, transactions: &[Transaction]) {
    assert_eq!(found(transactions), [(phenomenon, false)]);
}

#[test]
fn one_after_another_is_good() {
    is_good(&[]);
    is_good(&[
        committed((0, 1), &[list("x", &[]), append("x", 1), list("x", &[1]), append("x", 2)]),
        committed((2, 3), &[read("r", None), write("r", 3), read("r", 3), write("r", 4)]),
        committed((4, 5), &[list("x", &[1, 2]), read("r", 4), all("s", &[]), insert("s", 5)]),
        committed((6, 7), &[all("s", &[5]), insert("s", 6), all("s", &[6, 5])]),
    ]);
}

#[test]
fn those_beside_each_other_may_come_in_any_order() {
    is_good(&[
        beside(&[list("x", &[2]), append("x", 1)]),
        beside(&[list("x", &[]), append("x", 2)]),
        beside(&[read("r", 3), write("r", 4)]),
        beside(&[write("r", 3)]),
        beside(&[all("s", &[7])]),
        beside(&[all("s", &[]), insert("s", 7)]),
    ]);
    // What ends when another begins is beside it.
    is_good(&[committed((0, 5), &[append("x", 1)]), committed((5, 9), &[list("x", &[])])]);
}

#[test]
fn what_was_undone_was_never_there() {
    let undone = [append("x", 1), append("x", 2), list("x", &[1, 2]), Operation::Undo, list("x", &[1])];
    is_good(&[committed((0, 1), &undone), late(&[list("x", &[1])])]);
    is(AbortedRead, &[committed((0, 1), &undone), late(&[list("x", &[1, 2])])]);
    let write = [write("r", 3), Operation::Undo, insert("s", 4), Operation::Undo, read("r", None)];
    is_good(&[committed((0, 1), &write), late(&[read("r", None), all("s", &[])])]);
    is(AbortedRead, &[committed((0, 1), &write), late(&[read("r", 3)])]);
    is(AbortedRead, &[committed((0, 1), &write), late(&[all("s", &[4])])]);
}

#[test]
fn an_unknown_outcome_may_be_either_but_whole() {
    let unknown = ended(Outcome::Unknown, (0, 1), &[append("x", 1), append("y", 2), write("r", 3)]);
    is_good(&[unknown.clone(), late(&[list("x", &[]), list("y", &[]), read("r", None)])]);
    is_good(&[unknown.clone(), late(&[list("x", &[1]), list("y", &[2]), read("r", 3)])]);
    // It may happen long after its client has gone.
    let before = committed((2, 3), &[list("x", &[]), read("r", None)]);
    is_good(&[unknown.clone(), before.clone(), late(&[list("x", &[1]), read("r", 3)])]);
    is_just(ReadSkew, &[unknown.clone(), late(&[list("x", &[1]), list("y", &[])])]);
    let half = [late(&[list("x", &[1])]), committed((400, 500), &[list("y", &[])])];
    is_only_by_real_time(ReadSkew, &[vec![unknown.clone()], half.into()].concat());
    // But not before it began, nor after it was seen.
    let early = committed((0, 1), &[read("r", 3)]);
    let unknown_later = ended(Outcome::Unknown, (50, 60), &[write("r", 3)]);
    is_only_by_real_time(CircularInformation, &[early, unknown_later]);
    is_just(Unexplained, &[unknown.clone(), committed((2, 3), &[read("r", 3)]), late(&[read("r", None)])]);
    // One that read what one of unknown outcome wrote makes it count, through a third.
    let second = ended(Outcome::Unknown, (2, 3), &[list("x", &[1]), append("z", 4)]);
    let third = late(&[list("z", &[4])]);
    is_only_by_real_time(ReadSkew, &[unknown, second, third, committed((400, 500), &[list("y", &[])])]);
}

#[test]
fn aborted_transactions_read_what_they_like() {
    is_good(&[ended(Outcome::Aborted, (0, 1), &[list("x", &[9]), append("x", 1)]), late(&[list("x", &[])])]);
}

#[test]
fn what_nobody_wrote_is_told_of() {
    is_just(Unwritten, &[beside(&[list("x", &[1])])]);
    is_just(Unwritten, &[beside(&[read("r", 1)])]);
    is_just(Unwritten, &[beside(&[all("s", &[1])])]);
    // Nor may it turn up under another key.
    is(Unwritten, &[beside(&[append("x", 1)]), beside(&[list("y", &[1])])]);
    is(Unwritten, &[beside(&[write("x", 1)]), beside(&[read("y", 1)])]);
    is(Unwritten, &[beside(&[insert("x", 1)]), beside(&[all("y", &[1])])]);
}

#[test]
fn what_is_there_twice_is_told_of() {
    is(Duplicate, &[beside(&[append("x", 1)]), beside(&[list("x", &[1, 1])])]);
    is(Duplicate, &[beside(&[insert("s", 1)]), beside(&[all("s", &[1, 1])])]);
    is_just(Duplicate, &[beside(&[append("x", 1), list("x", &[1, 1])])]);
}

#[test]
fn two_orders_of_one_list_are_told_of() {
    let writers = [beside(&[append("x", 1)]), beside(&[append("x", 2)])];
    let readers = [beside(&[list("x", &[1, 2])]), beside(&[list("x", &[2])])];
    is(IncompatibleOrder, &[writers, readers].concat());
    let writers = [beside(&[insert("s", 1)]), beside(&[insert("s", 2)])];
    let readers = [beside(&[all("s", &[1])]), beside(&[all("s", &[2])])];
    is(IncompatibleOrder, &[writers, readers].concat());
}

#[test]
fn a_transaction_sees_its_own_writes_and_one_state() {
    is(Internal, &[beside(&[append("x", 1), list("x", &[])])]);
    is(Internal, &[beside(&[write("r", 1), read("r", None)])]);
    is(Internal, &[beside(&[insert("s", 1), all("s", &[])])]);
    is(Internal, &[beside(&[append("x", 1)]), beside(&[list("x", &[]), list("x", &[1])])]);
    is(Internal, &[beside(&[write("r", 1)]), beside(&[read("r", None), read("r", 1)])]);
}

#[test]
fn what_an_aborted_transaction_wrote_is_seen_by_none() {
    let aborted = ended(Outcome::Aborted, (0, 100), &[append("x", 1), write("r", 2), insert("s", 3)]);
    is_just(AbortedRead, &[aborted.clone(), beside(&[list("x", &[1])])]);
    is_just(AbortedRead, &[aborted.clone(), beside(&[read("r", 2)])]);
    is_just(AbortedRead, &[aborted, beside(&[all("s", &[3])])]);
}

#[test]
fn what_a_transaction_is_about_to_change_is_seen_by_none() {
    is(IntermediateRead, &[beside(&[append("x", 1), append("x", 2)]), beside(&[list("x", &[1])])]);
    is_just(IntermediateRead, &[beside(&[write("r", 1), write("r", 2)]), beside(&[read("r", 1)])]);
}

#[test]
fn a_write_that_vanishes_is_told_of() {
    is(LostWrite, &[committed((0, 1), &[append("x", 1)]), late(&[list("x", &[])])]);
    is(LostWrite, &[committed((0, 1), &[insert("s", 1)]), late(&[all("s", &[])])]);
    // Although others go on from what is left.
    let others = [committed((2, 3), &[append("x", 2)]), late(&[list("x", &[2])])];
    is(LostWrite, &[&[committed((0, 1), &[append("x", 1)])], &others[..]].concat());
    // A register tells nothing of what was written over.
    is_just(Unexplained, &[committed((0, 1), &[write("r", 1)]), late(&[read("r", None)])]);
}

#[test]
fn two_updates_of_one_state_are_told_of() {
    is(LostUpdate, &[beside(&[list("x", &[]), append("x", 1)]), beside(&[list("x", &[]), append("x", 2)])]);
    is(LostUpdate, &[beside(&[read("r", None), write("r", 1)]), beside(&[read("r", None), write("r", 2)])]);
}

#[test]
fn writes_over_writes_in_a_circle_are_g0() {
    let writers = [beside(&[append("x", 1), append("y", 2)]), beside(&[append("x", 3), append("y", 4)])];
    is_just(DirtyWrite, &[&writers[..], &[late(&[list("x", &[1, 3]), list("y", &[4, 2])])]].concat());
    // Within one list too.
    let writers = [beside(&[append("x", 1), append("x", 2)]), beside(&[append("x", 3)])];
    is_just(DirtyWrite, &[&writers[..], &[late(&[list("x", &[1, 3, 2])])]].concat());
    let writers = [committed((0, 1), &[append("x", 1)]), committed((2, 3), &[append("x", 2)])];
    is_only_by_real_time(DirtyWrite, &[&writers[..], &[late(&[list("x", &[2, 1])])]].concat());
}

#[test]
fn reads_of_each_other_are_g1c() {
    is_just(
        CircularInformation,
        &[beside(&[append("x", 1), list("y", &[2])]), beside(&[append("y", 2), list("x", &[1])])],
    );
    is_just(
        CircularInformation,
        &[beside(&[write("x", 1), read("y", 2)]), beside(&[write("y", 2), read("x", 1)])],
    );
    is_only_by_real_time(
        CircularInformation,
        &[committed((0, 1), &[list("x", &[1])]), committed((2, 3), &[append("x", 1)])],
    );
}

#[test]
fn one_read_that_misses_a_write_is_g_single() {
    let writer = beside(&[append("x", 1), append("y", 2)]);
    is_just(ReadSkew, &[writer, beside(&[list("x", &[]), list("y", &[2])])]);
    let first = beside(&[read("x", None), write("x", 1), read("y", None), write("y", 2)]);
    let second = beside(&[read("x", 1), write("x", 3), read("y", 2), write("y", 4)]);
    is_just(ReadSkew, &[first, second, beside(&[read("x", 1), read("y", 4)])]);
}

#[test]
fn a_read_of_what_was_long_written_over_is_one_by_real_time() {
    let writers = [committed((0, 1), &[append("x", 1)]), committed((2, 3), &[append("x", 2)])];
    let stale = [committed((4, 5), &[list("x", &[1])]), late(&[list("x", &[1, 2])])];
    is_only_by_real_time(ReadSkew, &[writers, stale].concat());
    is_just(
        Unexplained,
        &[committed((0, 1), &[write("r", 1)]), committed((2, 3), &[write("r", 2)]), late(&[read("r", 1)])],
    );
}

#[test]
fn two_reads_that_miss_each_others_writes_are_g2() {
    is_just(
        WriteSkew,
        &[beside(&[list("x", &[]), append("y", 1)]), beside(&[list("y", &[]), append("x", 2)])],
    );
    let skewed = [
        beside(&[read("x", None), read("y", None), write("y", 1)]),
        beside(&[read("x", None), read("y", None), write("x", 2)]),
    ];
    is_just(WriteSkew, &skewed);
}

#[test]
fn blind_writes_leave_no_edges_but_no_order_either() {
    let writers = [beside(&[write("x", 1)]), beside(&[write("y", 2)])];
    let fork = [beside(&[read("x", 1), read("y", None)]), beside(&[read("x", None), read("y", 2)])];
    is_just(Unexplained, &[writers, fork].concat());
}

#[test]
fn a_set_that_grew_unseen_is_a_phantom() {
    is_just(Phantom, &[beside(&[all("s", &[]), insert("s", 1)]), beside(&[all("s", &[]), insert("s", 2)])]);
    is_just(Phantom, &[beside(&[insert("s", 1)]), beside(&[all("s", &[]), all("s", &[1])])]);
    let stale = [committed((4, 5), &[all("s", &[])]), late(&[all("s", &[1])])];
    is_only_by_real_time(Phantom, &[&[committed((0, 1), &[insert("s", 1)])], &stale[..]].concat());
    // Half of what a transaction inserted.
    is_just(Phantom, &[beside(&[insert("s", 1), insert("s", 2)]), beside(&[all("s", &[1])])]);
}

#[test]
fn a_cycle_may_lead_through_all_kinds_of_keys() {
    let first = beside(&[list("x", &[]), insert("s", 1)]);
    let second = beside(&[all("s", &[]), read("r", None), write("r", 2)]);
    let third = beside(&[read("r", 2), append("x", 3)]);
    is_good(&[first.clone(), second.clone()]);
    is_just(Phantom, &[first, beside(&[all("s", &[]), append("x", 3)])]);
    is_good(&[second, third]);
}

#[test]
fn accounts_together_hold_what_there_is() {
    let balances = |balances: &[i64]| Operation::ReadBalances(balances.into());
    check_totals(&[beside(&[balances(&[5, 5])]), beside(&[balances(&[10, 0])])], 10).expect("10 each");
    for wrong in [[5, 4], [11, -1]] {
        let finding = check_totals(&[beside(&[balances(&wrong)])], 10).expect_err("not 10");
        assert_eq!(finding.phenomena(), [WrongTotal]);
    }
    let aborted = ended(Outcome::Aborted, (0, 1), &[balances(&[1, 1])]);
    check_totals(&[aborted], 10).expect("aborted transactions read what they like");
}

#[test]
fn a_finding_tells_the_story() {
    let skewed = [beside(&[list("x", &[]), append("y", 1)]), beside(&[list("y", &[]), append("x", 2)])];
    let told = check(&skewed).expect_err("write skew").to_string();
    let story = "1 anomalies\n\
        write skew (G2-item): a cycle\n  \
        T0 read x without what T1 wrote\n  \
        T1 read y without what T0 wrote\n  \
        T0: 0.000000 to 0.100000 s  process 0 committed: x is []; append 1 to y\n  \
        T1: 0.000000 to 0.100000 s  process 0 committed: y is []; append 2 to x\n";
    assert_eq!(told, story);
}
