//! One client: transactions with locks and all the ways in which they end, and plain commands.
//!
//! What is noted as aborted certainly never happens: nobody asked to commit it, or the server said no. As
//! soon as a commit was asked for and not answered, the outcome is unknown.

use std::thread;

use tresor_testkit::{
    isolation::{Begun, Operation},
    random::Random,
    resp_client::encode,
};

use crate::{
    door::{Door, Protocol, Told, Trouble},
    lists::answer,
    run::Run,
};

/// How a client means to end a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Intent {
    Commit,
    /// Asks to commit and hangs up.
    CommitUnheard,
    Abort,
    /// Hangs up, or leaves it open where a transaction belongs to no connection.
    Leave,
}

/// A client and its connection.
pub(crate) struct Client<'r> {
    pub(crate) run: &'r Run,
    pub(crate) random: Random,
    protocol: Protocol,
    number: u64,
    door: Option<Box<dyn Door>>,
}

/// What a client's transaction does: with its door, its choices, and the record of it.
pub(crate) type Steps<'s> = &'s mut dyn FnMut(&mut dyn Door, &mut Random, &mut Begun) -> Told<()>;

/// A command's words, and what it means.
pub(crate) type Plain = (Vec<String>, Operation);

impl<'r> Client<'r> {
    pub(crate) fn new(run: &'r Run, protocol: Protocol, number: u64) -> Self {
        Self { run, random: run.random(number), protocol, number, door: None }
    }

    /// Connects if need be; false if there is no more to do.
    pub(crate) fn connect(&mut self) -> bool {
        while !self.run.is_over() {
            if self.door.is_none() {
                self.door = self.protocol.connect(self.run.ports());
            }
            if self.door.is_some() {
                return true;
            }
            // The server is being started again.
            thread::yield_now();
        }
        false
    }

    fn begin(&self) -> Begun {
        self.run.count();
        self.run.history.begin(self.number)
    }

    /// The connection, which is there after `connect`.
    pub(crate) fn door(&mut self) -> &mut dyn Door {
        self.door.as_mut().expect("clients connect before they do anything").as_mut()
    }

    /// Runs steps in a transaction with locks, and ends it in one way or another.
    pub(crate) fn with_locks(&mut self, steps: Steps<'_>) {
        let mut begun = self.begin();
        let intent = match self.random.below(40) {
            0..3 => Intent::Abort,
            3 => Intent::Leave,
            4 => Intent::CommitUnheard,
            _ => Intent::Commit,
        };
        let door = self.door.as_mut().expect("clients connect before they do anything").as_mut();
        let random = &mut self.random;
        let done = door.begin(intent == Intent::Leave).and_then(|()| steps(door, random, &mut begun));
        if let Err(trouble) = done {
            begun.aborted();
            return self.give_up(&trouble);
        }
        match intent {
            Intent::Commit => {
                let told = door.commit();
                self.end(begun, told);
            }
            Intent::CommitUnheard => {
                door.commit_unheard();
                self.door = None;
                begun.unknown();
            }
            Intent::Abort => {
                let told = door.abort();
                begun.aborted();
                if let Err(trouble) = told {
                    self.give_up(&trouble);
                }
            }
            Intent::Leave => {
                self.door = None;
                begun.aborted();
            }
        }
    }

    /// Runs a plain command, or several that the server executes as one.
    pub(crate) fn at_once(&mut self, steps: Steps<'_>) {
        let mut begun = self.begin();
        let door = self.door.as_mut().expect("clients connect before they do anything").as_mut();
        let told = steps(door, &mut self.random, &mut begun);
        self.end(begun, told);
    }

    /// Sends plain commands of the Redis protocol ahead of their answers, each a transaction of its own.
    pub(crate) fn many_at_once(&mut self, commands: &mut dyn FnMut(&mut Random) -> Vec<Plain>) {
        let commands = commands(&mut self.random);
        let resp = self.door.as_mut().and_then(|door| door.resp());
        let resp = resp.expect("only asked for where it is");
        let (mut open, mut bytes) = (Vec::new(), Vec::new());
        for (words, operation) in commands {
            self.run.count();
            let mut begun = self.run.history.begin(self.number);
            if !matches!(operation, Operation::ReadList { .. }) {
                begun.did(operation.clone());
            }
            open.push((begun, operation));
            bytes.extend(encode(&words));
        }
        resp.send_bytes(&bytes);
        let mut is_lost = false;
        for (mut begun, mut operation) in open {
            match resp.reply() {
                Ok(reply) => {
                    answer(&mut operation, &reply);
                    begun.instead(vec![operation]);
                    begun.committed();
                }
                Err(Trouble::Ended | Trouble::Refused) => begun.aborted(),
                Err(Trouble::Unknown | Trouble::Lost) => {
                    is_lost = true;
                    begun.unknown();
                }
            }
        }
        if is_lost {
            self.door = None;
        }
    }

    /// Notes how something ended that was to take effect.
    fn end(&mut self, begun: Begun, told: Told<()>) {
        match &told {
            Ok(()) => begun.committed(),
            Err(Trouble::Ended | Trouble::Refused) => begun.aborted(),
            Err(Trouble::Unknown | Trouble::Lost) => begun.unknown(),
        }
        if let Err(trouble) = told {
            self.give_up(&trouble);
        }
    }

    /// Leaves nothing open after trouble.
    fn give_up(&mut self, trouble: &Trouble) {
        let is_over = match trouble {
            Trouble::Lost | Trouble::Unknown => true,
            // It may have ended already, which is as good.
            Trouble::Ended | Trouble::Refused => matches!(self.door().abort(), Err(Trouble::Lost)),
        };
        if is_over {
            self.door = None;
        }
    }
}
