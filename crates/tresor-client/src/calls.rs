//! The typed calls, said once for both clients: they differ in `async` and `.await` alone.

/// The typed calls of a client that has `call`. Takes `[async] [.await]`, or nothing in both brackets.
macro_rules! typed_calls {
    ([$($async:tt)?] [$($await:tt)*]) => {
        /// Asks the server whether it is there.
        pub $($async)? fn ping(&mut self) -> Result<()> {
            self.call(request::ping())$($await)*
        }

        /// Gives the server's password.
        pub $($async)? fn authenticate(&mut self, password: &str) -> Result<()> {
            self.call(request::authenticate(password))$($await)*
        }

        /// Chooses one of the numbered databases for the commands to come; a connection starts with 0.
        pub $($async)? fn select(&mut self, database: u32) -> Result<()> {
            self.call(request::select(database))$($await)*
        }

        /// Sets a key to raw bytes at once.
        pub $($async)? fn put(&mut self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<()> {
            self.call(request::put(key.as_ref(), value.as_ref(), None))$($await)*
        }

        /// The committed value of a key; `None` when it is not there.
        pub $($async)? fn get(&mut self, key: impl AsRef<[u8]>) -> Result<Option<Value>> {
            self.call(request::get(key.as_ref(), None))$($await)*
        }

        /// Deletes a key at once, and tells whether it was there.
        pub $($async)? fn delete(&mut self, key: impl AsRef<[u8]>) -> Result<bool> {
            self.call(request::delete(key.as_ref(), None))$($await)*
        }

        /// Begins a transaction. It ends with [`commit`](Self::commit), [`abort`](Self::abort),
        /// [`commit_all`](Self::commit_all), or, undone, with the connection.
        pub $($async)? fn begin(&mut self) -> Result<TransactionId> {
            self.call(request::begin())$($await)*
        }

        /// Sets a key in a transaction, which locks the key until it ends.
        pub $($async)? fn put_in(
            &mut self,
            transaction: TransactionId,
            key: impl AsRef<[u8]>,
            value: impl AsRef<[u8]>,
        ) -> Result<()> {
            self.call(request::put(key.as_ref(), value.as_ref(), Some(transaction)))$($await)*
        }

        /// The value of a key as the transaction sees it, its own writes included; others cannot change
        /// it until the transaction ends.
        pub $($async)? fn get_in(
            &mut self,
            transaction: TransactionId,
            key: impl AsRef<[u8]>,
        ) -> Result<Option<Value>> {
            self.call(request::get(key.as_ref(), Some(transaction)))$($await)*
        }

        /// Deletes a key in a transaction, and tells whether it was there.
        pub $($async)? fn delete_in(
            &mut self,
            transaction: TransactionId,
            key: impl AsRef<[u8]>,
        ) -> Result<bool> {
            self.call(request::delete(key.as_ref(), Some(transaction)))$($await)*
        }

        /// Deletes every key that the transaction has written, one step to undo for each; tells how many.
        pub $($async)? fn delete_written(&mut self, transaction: TransactionId) -> Result<u64> {
            self.call(request::delete_written(transaction))$($await)*
        }

        /// Undoes the transaction's latest write that is not undone yet;
        /// [`NothingToUndo`](crate::ErrorKind::NothingToUndo) when there is none. The transaction stays
        /// open and keeps its locks.
        pub $($async)? fn rollback(&mut self, transaction: TransactionId) -> Result<Undone> {
            self.call(request::rollback(transaction))$($await)*
        }

        /// Discards the whole transaction.
        pub $($async)? fn abort(&mut self, transaction: TransactionId) -> Result<()> {
            self.call(request::abort(transaction))$($await)*
        }

        /// Applies all of the transaction at once.
        pub $($async)? fn commit(&mut self, transaction: TransactionId) -> Result<()> {
            self.call(request::commit(transaction))$($await)*
        }

        /// Commits every transaction that this connection has open; tells how many.
        pub $($async)? fn commit_all(&mut self) -> Result<u64> {
            self.call(request::commit_all())$($await)*
        }

        /// The committed entries and everyone's open transactions, all of it in memory.
        pub $($async)? fn show_all(&mut self) -> Result<Contents> {
            self.call(request::show_all())$($await)*
        }

        /// Sends a line of your own and returns its answer, an error answer as well: look at `status`.
        /// Keys and values that may be anything go through [`quoted`](crate::quoted).
        pub $($async)? fn send_command(&mut self, line: &str) -> Result<serde_json::Value> {
            connection::json(&self.send_line(line)$($await)*?)
        }

        /// The same, with the answer's line as the server wrote it.
        pub $($async)? fn send_line(&mut self, line: &str) -> Result<String> {
            let mut answers = self.exchange(&[line])$($await)*?;
            Ok(answers.pop().unwrap_or_default())
        }

        /// Sends lines ahead of their answers and returns the answers in the same order, error answers
        /// as well. `@` stands for the id of the latest BEGIN. When this fails, some of the lines may
        /// have been done.
        pub $($async)? fn send_all<L: AsRef<str>>(&mut self, lines: &[L]) -> Result<Vec<serde_json::Value>> {
            let answers = self.exchange(lines)$($await)*?;
            answers.iter().map(|answer| connection::json(answer)).collect()
        }

        /// Says goodbye and closes the connection; the server rolls back what is open. Dropping the
        /// client does the same without a word.
        pub $($async)? fn disconnect(mut self) -> Result<()> {
            self.call(request::quit())$($await)*
        }

        $($async)? fn call<T>(&mut self, request: Request<T>) -> Result<T> {
            request.answered(&self.send_line(&request.line)$($await)*?)
        }
    };
}

pub(crate) use typed_calls;
