//! A transaction as others see it: what it read from outside, and what it leaves behind.
//!
//! Reads of a transaction's own writes say nothing about others, so they are checked here against what
//! it wrote and cut off: of a list that ends with its own elements only the front is from outside.

use super::{
    anomaly::Phenomenon,
    history::{Operation, Transaction},
};

/// A key's number within one check.
pub(super) type Key = u32;

/// What was written to a key, in order, and not taken back.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) list: Vec<(Key, u64)>,
    pub(super) register: Vec<(Key, u64)>,
    pub(super) set: Vec<(Key, u64)>,
}

/// What a transaction saw that is not its own, and its writes.
#[derive(Debug, Default)]
pub(super) struct Footprint {
    pub(super) lists_read: Vec<(Key, Vec<u64>)>,
    pub(super) registers_read: Vec<(Key, Option<u64>)>,
    pub(super) sets_read: Vec<(Key, Vec<u64>)>,
    pub(super) written: Written,
    /// Writes that the transaction took back itself.
    pub(super) undone: Vec<u64>,
    /// Where it contradicts itself.
    pub(super) contradictions: Vec<(Phenomenon, String)>,
}

/// A write not yet taken back.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    List,
    Register,
    Set,
}

impl Written {
    /// Everything, whatever it was written to.
    pub(super) fn all(&self) -> impl Iterator<Item = u64> + '_ {
        self.list.iter().chain(&self.register).chain(&self.set).map(|(_, written)| *written)
    }
}

impl Footprint {
    /// Everything that was read from outside.
    pub(super) fn reads(&self) -> impl Iterator<Item = u64> + '_ {
        let many = self.lists_read.iter().chain(&self.sets_read).flat_map(|(_, read)| read.iter().copied());
        many.chain(self.registers_read.iter().filter_map(|(_, read)| *read))
    }

    /// That of a transaction; `number` gives each key its number.
    pub(super) fn of(transaction: &Transaction, number: &mut impl FnMut(&str) -> Key) -> Self {
        let mut footprint = Self::default();
        let mut own: Vec<(Form, Key, u64)> = Vec::new();
        for operation in &transaction.operations {
            match operation {
                Operation::Append { key, element } => own.push((Form::List, number(key), *element)),
                Operation::Write { key, value } => own.push((Form::Register, number(key), *value)),
                Operation::Insert { key, member } => own.push((Form::Set, number(key), *member)),
                Operation::Undo => footprint.undone.extend(own.pop().map(|(_, _, written)| written)),
                Operation::ReadList { key, elements } => {
                    let own = own_of(&own, Form::List, number(key));
                    footprint.read_list((number(key), key), elements, &own);
                }
                Operation::Read { key, value } => {
                    let own = own_of(&own, Form::Register, number(key));
                    footprint.read_register((number(key), key), *value, own.last().copied());
                }
                Operation::ReadSet { key, members } => {
                    let own = own_of(&own, Form::Set, number(key));
                    footprint.read_set((number(key), key), members, &own);
                }
                Operation::ReadBalances(_) => {}
            }
        }
        for (form, key, written) in own {
            match form {
                Form::List => footprint.written.list.push((key, written)),
                Form::Register => footprint.written.register.push((key, written)),
                Form::Set => footprint.written.set.push((key, written)),
            }
        }
        footprint
    }

    fn read_list(&mut self, (key, name): (Key, &str), elements: &[u64], own: &[u64]) {
        self.note_twice(name, elements.to_vec());
        let Some(outside) = elements.strip_suffix(own) else {
            let story = format!("{name} was read as {elements:?}, which does not end with its own {own:?}");
            return self.contradictions.push((Phenomenon::Internal, story));
        };
        let earlier = self.lists_read.iter().find(|(read, _)| *read == key);
        if let Some((_, earlier)) = earlier
            && earlier != outside
        {
            let story = format!("{name} was read as {earlier:?} and then as {outside:?}");
            self.contradictions.push((Phenomenon::Internal, story));
        }
        self.lists_read.push((key, outside.to_vec()));
    }

    fn read_register(&mut self, (key, name): (Key, &str), value: Option<u64>, own: Option<u64>) {
        if let Some(own) = own {
            if value != Some(own) {
                let story = format!("{name} was read as {value:?} after it wrote {own}");
                self.contradictions.push((Phenomenon::Internal, story));
            }
            return;
        }
        let earlier = self.registers_read.iter().find(|(read, _)| *read == key);
        if let Some((_, earlier)) = earlier
            && *earlier != value
        {
            let story = format!("{name} was read as {earlier:?} and then as {value:?}");
            self.contradictions.push((Phenomenon::Internal, story));
        }
        self.registers_read.push((key, value));
    }

    fn read_set(&mut self, (key, name): (Key, &str), members: &[u64], own: &[u64]) {
        let mut outside = self.note_twice(name, members.to_vec());
        if let Some(missing) = own.iter().find(|member| outside.binary_search(member).is_err()) {
            let story = format!("{name} was read without {missing}, which it had inserted itself");
            self.contradictions.push((Phenomenon::Internal, story));
        }
        outside.retain(|member| !own.contains(member));
        self.sets_read.push((key, outside));
    }

    /// Looks for what was read twice, among its own writes too; gives what was read in ascending order.
    fn note_twice(&mut self, name: &str, mut read: Vec<u64>) -> Vec<u64> {
        read.sort_unstable();
        if let Some(twice) = read.windows(2).find(|pair| pair[0] == pair[1]) {
            let story = format!("{name} was read with {} twice", twice[0]);
            self.contradictions.push((Phenomenon::Duplicate, story));
        }
        read
    }
}

fn own_of(own: &[(Form, Key, u64)], form: Form, key: Key) -> Vec<u64> {
    own.iter().filter(|write| write.0 == form && write.1 == key).map(|write| write.2).collect()
}
