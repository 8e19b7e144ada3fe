//! What each route takes and answers, for `/openapi.json`.
//!
//! One table: a route, its methods, and of each its parameters, its body, and every status that is not an error
//! of a kind that all routes share (`openapi.rs` adds those). HEAD is as GET, and names in braces of a path are
//! parameters by themselves.

use serde_json::{Value, json};
use tresor::search::MAX_LIMIT;

use super::route::Route;

/// One method of a route.
#[derive(Clone, Copy)]
pub(super) struct Operation {
    pub(super) method: &'static str,
    pub(super) summary: &'static str,
    /// Besides those in the path.
    pub(super) parameters: &'static [Parameter],
    pub(super) body: Option<Content>,
    pub(super) body_is_optional: bool,
    /// What it answers when it is done.
    pub(super) answers: &'static [Answered],
    /// Errors of its own.
    pub(super) problems: &'static [u16],
    /// The engine is asked, with all that may go wrong there.
    pub(super) asks_the_store: bool,
}

/// An answer.
#[derive(Clone, Copy)]
pub(super) struct Answered {
    pub(super) status: u16,
    pub(super) description: &'static str,
    pub(super) content: Content,
    pub(super) headers: &'static [Header],
}

/// A header of an answer.
#[derive(Clone, Copy)]
pub(super) struct Header {
    pub(super) name: &'static str,
    /// It is there each time.
    pub(super) is_certain: bool,
}

/// What a body holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Empty,
    /// JSON of a schema.
    Json(&'static str),
    /// A value, with the type that its kind and its bytes give it.
    Raw,
    /// A value of any type.
    Anything,
    /// Entries as lines of JSON.
    Lines,
    Text,
    Metrics,
    /// The console's page.
    Page,
    /// A file of it.
    PageFile,
    /// Changes, as JSON or as events.
    Changes,
}

/// A parameter of a query, or a header.
#[derive(Clone, Copy)]
pub(super) enum Parameter {
    Database,
    /// The same where it may be left out.
    OneDatabase(&'static str),
    Ttl,
    Key,
    DryRun,
    Verbose,
    IfMatch,
    IfNoneMatch,
    UpstashEncoding,
    Limit,
    Removing,
    /// Something to be turned on.
    Switch(&'static str, &'static str),
    /// An option of a query.
    Option(&'static str, &'static str),
    /// A number with its most and what it is unless given.
    Number(&'static str, (u64, u64), &'static str),
    LastEventId,
    /// The same with few values.
    Choice(&'static str, &'static [&'static str], &'static str),
}

impl Parameter {
    /// Where it stands, its name, its schema, and what it is for.
    pub(super) fn described(self) -> (&'static str, &'static str, Value, &'static str) {
        let text = json!({ "type": "string" });
        match self {
            Self::Database => {
                let schema = json!({ "type": "integer", "minimum": 0, "maximum": 15, "default": 0 });
                ("query", "db", schema, "The numbered database.")
            }
            Self::OneDatabase(description) => {
                ("query", "db", json!({ "type": "integer", "minimum": 0, "maximum": 15 }), description)
            }
            Self::Ttl => {
                let schema = json!({ "type": "number", "exclusiveMinimum": 0, "maximum": 1e11 });
                ("query", "ttl", schema, "How many seconds the entry stays; for good unless given.")
            }
            Self::Key => ("query", "key", text, "The key; all entries unless given."),
            Self::DryRun => {
                let schema = json!({ "type": "boolean", "default": false });
                ("query", "dry_run", schema, "Changes nothing and tells what would move.")
            }
            Self::Verbose => {
                ("query", "verbose", text, "One line a check; with a password, for those who have it.")
            }
            Self::IfMatch => {
                ("header", "If-Match", text, "Only if the entry has one of these ETags; * for any entry.")
            }
            Self::IfNoneMatch => (
                "header",
                "If-None-Match",
                text,
                "Only if the entry has none of these ETags; * for no entry at all.",
            ),
            Self::Limit => {
                let schema = json!({ "type": "integer", "minimum": 1, "maximum": MAX_LIMIT });
                ("query", "limit", schema, "Entries of a page, 100 unless given; of the nearest, 10.")
            }
            Self::Removing => {
                let schema = json!({ "type": "boolean", "default": false });
                ("query", "dry_run", schema, "Deletes nothing and tells how many match.")
            }
            Self::Switch(name, description) => {
                ("query", name, json!({ "type": "boolean", "default": false }), description)
            }
            Self::Number(name, (most, default), description) => {
                let schema = json!({ "type": "integer", "minimum": 0, "maximum": most, "default": default });
                ("query", name, schema, description)
            }
            Self::LastEventId => {
                ("header", "Last-Event-ID", text, "Where a reader of events was; counts before since.")
            }
            Self::Option(name, description) => ("query", name, text, description),
            Self::Choice(name, values, description) => {
                ("query", name, json!({ "enum": values }), description)
            }
            Self::UpstashEncoding => {
                let schema = json!({ "type": "string", "enum": ["base64"] });
                ("header", "Upstash-Encoding", schema, "Strings in answers in base64, but for OK.")
            }
        }
    }
}

const fn operation(method: &'static str, summary: &'static str) -> Operation {
    Operation {
        method,
        summary,
        parameters: &[],
        body: None,
        body_is_optional: false,
        answers: &[],
        problems: &[],
        asks_the_store: true,
    }
}

impl Operation {
    const fn parameters(self, parameters: &'static [Parameter]) -> Self {
        Self { parameters, ..self }
    }

    const fn body(self, body: Content) -> Self {
        Self { body: Some(body), ..self }
    }

    const fn optional_body(self, body: Content) -> Self {
        Self { body: Some(body), body_is_optional: true, ..self }
    }

    const fn answers(self, answers: &'static [Answered]) -> Self {
        Self { answers, ..self }
    }

    const fn problems(self, problems: &'static [u16]) -> Self {
        Self { problems, ..self }
    }

    /// Without asking the store.
    const fn apart(self) -> Self {
        Self { asks_the_store: false, ..self }
    }
}

const fn answer(status: u16, description: &'static str, content: Content) -> Answered {
    Answered { status, description, content, headers: &[] }
}

impl Answered {
    const fn headers(self, headers: &'static [Header]) -> Self {
        Self { headers, ..self }
    }
}

const ETAG: Header = Header { name: "ETag", is_certain: true };
const EXPIRES: Header = Header { name: "Expires", is_certain: false };
const LOCATION: Header = Header { name: "Location", is_certain: true };

/// The operations of a route.
pub(super) fn described(route: Route) -> &'static [Operation] {
    match route {
        Route::Console => CONSOLE,
        Route::ConsoleFile => CONSOLE_FILE,
        Route::Kv | Route::TransactionKv => KV,
        Route::Keys | Route::TransactionKeys => KEYS,
        Route::Key | Route::TransactionKey => KEY,
        Route::Entry => ENTRY,
        Route::Entries => ENTRIES,
        Route::Changes => CHANGES,
        Route::Query => QUERY,
        Route::Indexes => INDEXES,
        Route::Index => INDEX,
        Route::EntryIncrement => INCREMENT,
        Route::Command => COMMAND,
        Route::CommandPipeline => PIPELINE,
        Route::CommandMultiExec => MULTI_EXEC,
        Route::Batch => BATCH,
        Route::Export => EXPORT,
        Route::Import => IMPORT,
        Route::Transactions => TRANSACTIONS,
        Route::Transaction => TRANSACTION,
        Route::TransactionCommit => COMMIT,
        Route::TransactionRollback => ROLLBACK,
        Route::TransactionAbort => ABORT,
        Route::Shards => SHARDS,
        Route::Rebalance => REBALANCE,
        Route::Shard => SHARD,
        Route::Encryption => ENCRYPTION,
        Route::EncryptionRotate => ROTATE,
        Route::OpenApi => OPENAPI,
        Route::Livez => LIVEZ,
        Route::Readyz => READYZ,
        Route::Metrics => METRICS,
        Route::Unknown => &[],
    }
}

const CONSOLE: &[Operation] = &[operation("GET", "Shows the console, a page for browsers.")
    .apart()
    .parameters(&[Parameter::IfNoneMatch])
    .answers(&[
        answer(200, "The page.", Content::Page).headers(&[ETAG]),
        answer(304, "The page is the one of If-None-Match.", Content::Empty).headers(&[ETAG]),
    ])];

const CONSOLE_FILE: &[Operation] = &[operation("GET", "Reads a style sheet or a module of the console.")
    .apart()
    .parameters(&[Parameter::IfNoneMatch])
    .answers(&[
        answer(200, "The file.", Content::PageFile).headers(&[ETAG]),
        answer(304, "The file is the one of If-None-Match.", Content::Empty).headers(&[ETAG]),
    ])
    .problems(&[404])];

const KV: &[Operation] = &[
    operation("GET", "Reads an entry, or all of them in key order.")
        .parameters(&[Parameter::Key, Parameter::Database])
        .answers(&[answer(200, "The entry, or an object of all.", Content::Json("EntryOrEntries"))])
        .problems(&[404]),
    operation("PUT", "Puts an entry.")
        .parameters(&[Parameter::Database, Parameter::Ttl])
        .body(Content::Json("Put"))
        .answers(&[
            answer(200, "It replaced one.", Content::Json("Entry")),
            answer(201, "It is new.", Content::Json("Entry")),
        ]),
    operation("DELETE", "Removes an entry.")
        .parameters(&[Parameter::Database])
        .body(Content::Json("Key"))
        .answers(&[answer(200, "It was there.", Content::Empty)])
        .problems(&[404]),
];

const KEYS: &[Operation] = &[operation("GET", "Reads all entries in key order.")
    .parameters(&[Parameter::Database])
    .answers(&[answer(200, "An object of all entries.", Content::Json("Entries"))])];

const KEY: &[Operation] = &[
    operation("GET", "Reads a value as it was stored.")
        .parameters(&[Parameter::Database])
        .answers(&[answer(200, "The value.", Content::Raw)])
        .problems(&[404]),
    operation("PUT", "Puts a value; application/json is stored as JSON, any other type as bytes.")
        .parameters(&[Parameter::Database, Parameter::Ttl])
        .body(Content::Anything)
        .answers(&[
            answer(200, "It replaced one.", Content::Empty),
            answer(201, "It is new.", Content::Empty),
        ]),
    operation("DELETE", "Removes an entry.")
        .parameters(&[Parameter::Database])
        .answers(&[answer(200, "It was there.", Content::Empty)])
        .problems(&[404]),
];

const ENTRY: &[Operation] = &[
    operation("GET", "Reads a value as it was stored, and its version.")
        .parameters(&[Parameter::Database, Parameter::IfMatch, Parameter::IfNoneMatch])
        .answers(&[
            answer(200, "The value.", Content::Raw).headers(&[ETAG, EXPIRES]),
            answer(304, "The entry has a version of If-None-Match.", Content::Empty)
                .headers(&[ETAG, EXPIRES]),
        ])
        .problems(&[404, 412]),
    operation("PUT", "Puts a value; application/json is stored as JSON, any other type as bytes.")
        .parameters(&[Parameter::Database, Parameter::Ttl, Parameter::IfMatch, Parameter::IfNoneMatch])
        .body(Content::Anything)
        .answers(&[
            answer(200, "It replaced one.", Content::Empty).headers(&[ETAG]),
            answer(201, "It is new.", Content::Empty).headers(&[ETAG]),
        ])
        .problems(&[412]),
    operation("DELETE", "Removes an entry.")
        .parameters(&[Parameter::Database, Parameter::IfMatch, Parameter::IfNoneMatch])
        .answers(&[answer(200, "It was there.", Content::Empty)])
        .problems(&[404, 412]),
];

const LINK: Header = Header { name: "Link", is_certain: false };

const ENTRIES: &[Operation] = &[
    operation("GET", "Finds entries, a page at a time; without conditions all of them.")
        .parameters(&FINDING)
        .answers(&[answer(200, "A page.", Content::Json("Page")).headers(&[LINK])]),
    operation("DELETE", "Deletes all entries that a query finds; at least one condition is needed.")
        .parameters(&REMOVING)
        .answers(&[answer(200, "How many were found and deleted.", Content::Json("Removed"))]),
];

const QUERY: &[Operation] =
    &[operation("POST", "Finds entries by several fields, or the nearest to a vector.")
        .parameters(&[Parameter::Database])
        .body(Content::Json("Query"))
        .answers(&[answer(200, "A page.", Content::Json("Page"))])];

/// The options of a query that limit what is found.
macro_rules! with_conditions {
    ($($more:expr),*) => {[
        Parameter::Database,
        Parameter::Option("key", "This key; may be given several times."),
        Parameter::Option("prefix", "Keys that begin so."),
        Parameter::Option("glob", "Keys that match a glob."),
        Parameter::Option("regex", "Keys in which a regular expression matches."),
        Parameter::Option("from", "Keys from this one on."),
        Parameter::Option("to", "Keys up to this one, itself included."),
        Parameter::Option("after", "Keys behind this one."),
        Parameter::Option("before", "Keys before this one."),
        Parameter::Option("field", "A JSON pointer; what follows is about this field of JSON values."),
        Parameter::Option("value_prefix", "Values that begin so."),
        Parameter::Option("value_glob", "Values that match a glob."),
        Parameter::Option("value_regex", "Values in which a regular expression matches."),
        Parameter::Option("value_from", "Values from this one on."),
        Parameter::Option("value_to", "Values up to this one, itself included."),
        Parameter::Option("value_after", "Values greater than this one."),
        Parameter::Option("value_before", "Values smaller than this one."),
        Parameter::Choice("value_as", &["text", "bytes", "number"], "How values compare with bounds."),
        $($more),*
    ]};
}

const FINDING: [Parameter; 25] = with_conditions![
    Parameter::Option("nearest", "Entries nearest to this vector: a JSON array of numbers, or a number."),
    Parameter::Choice("metric", &["l2", "cosine", "ip"], "How distance is measured; behind nearest."),
    Parameter::Choice("order", &["asc", "desc", "any"], "In which order."),
    Parameter::Limit,
    Parameter::Option("cursor", "Where to go on: what the page before told."),
    Parameter::Switch("values", "Values too."),
    Parameter::Switch("explain", "How the query is run, too.")
];

const REMOVING: [Parameter; 19] = with_conditions![Parameter::Removing];

const CHANGES: &[Operation] = &[operation(
    "GET",
    "Tells what happens to entries: with Accept: text/event-stream as events for as long as they are taken, else a page.",
)
.parameters(&[
    Parameter::Database,
    Parameter::Option("since", "What happened after this position, as an answer told it; from now on unless given."),
    Parameter::LastEventId,
    Parameter::Option("prefix", "Only keys that begin so."),
    Parameter::Switch("values", "Values too."),
    Parameter::Number("limit", (1024, 1024), "The most changes of a page."),
    Parameter::Number("wait", (60, 0), "How many seconds to wait for a change, if there is none."),
])
.answers(&[answer(200, "Changes in their order.", Content::Changes)])];

const INCREMENT: &[Operation] = &[operation("POST", "Adds to a number; an absent one counts as 0.")
    .parameters(&[Parameter::Database])
    .optional_body(Content::Json("Increment"))
    .answers(&[answer(200, "The sum.", Content::Json("Sum")).headers(&[ETAG])])];

const COMMAND: &[Operation] = &[operation("POST", "Executes a command of the Redis protocol.")
    .parameters(&[Parameter::Database, Parameter::UpstashEncoding])
    .body(Content::Json("Command"))
    .answers(&[
        answer(200, "Its reply.", Content::Json("Result")),
        answer(400, "Its error.", Content::Json("Failure")),
    ])];

const PIPELINE: &[Operation] = &[operation("POST", "Executes commands one after another.")
    .parameters(&[Parameter::Database, Parameter::UpstashEncoding])
    .body(Content::Json("Commands"))
    .answers(&[answer(200, "A reply or an error for each, in order.", Content::Json("Outcomes"))])];

const MULTI_EXEC: &[Operation] = &[operation("POST", "Executes commands as one step, as MULTI and EXEC do.")
    .parameters(&[Parameter::Database, Parameter::UpstashEncoding])
    .body(Content::Json("Commands"))
    .answers(&[
        answer(200, "A reply or an error for each, in order.", Content::Json("Outcomes")),
        answer(400, "One could not be queued: nothing was done.", Content::Json("Failure")),
    ])];

const BATCH: &[Operation] = &[operation("POST", "Applies operations as one step, all or none.")
    .parameters(&[Parameter::Database])
    .body(Content::Json("Batch"))
    .answers(&[answer(200, "What each has done or read.", Content::Json("BatchResults"))])];

const EXPORT: &[Operation] = &[operation("GET", "Tells entries as lines of JSON, however many there are.")
    .parameters(&[
        Parameter::OneDatabase("This numbered database alone."),
        Parameter::Option("prefix", "Keys that begin so."),
    ])
    .answers(&[answer(200, "A line for each entry, in key order.", Content::Lines)])];

const IMPORT: &[Operation] = &[operation("POST", "Puts entries from lines of JSON, however many there are.")
    .parameters(&[
        Parameter::OneDatabase("All into this numbered database, whatever the lines say."),
        Parameter::Choice("if", &["absent"], "What is there already stays."),
    ])
    .body(Content::Lines)
    .answers(&[answer(200, "How many were put.", Content::Json("Imported"))])];

const TRANSACTIONS: &[Operation] = &[
    operation("GET", "Lists the open transactions of all front doors.").answers(&[answer(
        200,
        "Their numbers.",
        Content::Json("OpenTransactions"),
    )]),
    operation("POST", "Begins a transaction with locks.")
        .optional_body(Content::Json("Begin"))
        .answers(&[answer(201, "It is open.", Content::Json("Begun")).headers(&[LOCATION])]),
];

const TRANSACTION: &[Operation] = &[operation("DELETE", "Discards a transaction.").answers(&[answer(
    200,
    "Nothing of it is left.",
    Content::Empty,
)])];

const COMMIT: &[Operation] = &[operation("POST", "Applies all that a transaction has written, as one step.")
    .answers(&[answer(200, "It is applied.", Content::Empty)])];

const ROLLBACK: &[Operation] = &[operation("POST", "Takes a transaction's latest write back.")
    .answers(&[answer(200, "The entry it is back to; null for none.", Content::Json("Entry"))])];

const ABORT: &[Operation] = &[operation("POST", "Discards a transaction.").answers(&[answer(
    200,
    "Nothing of it is left.",
    Content::Empty,
)])];

const INDEXES: &[Operation] = &[operation("GET", "Lists the indexes and how they are doing.")
    .answers(&[answer(200, "The indexes.", Content::Json("Indexes"))])];

const INDEX: &[Operation] = &[
    operation("GET", "Tells how an index is doing.")
        .answers(&[answer(200, "The index.", Content::Json("Index"))])
        .problems(&[404]),
    operation("PUT", "Defines an index, which is then built.")
        .parameters(&[Parameter::Database])
        .body(Content::Json("PutIndex"))
        .answers(&[
            answer(200, "It is there already, defined the same.", Content::Json("Index")),
            answer(201, "It is new.", Content::Json("Index")),
        ]),
    operation("DELETE", "Drops an index.")
        .answers(&[answer(200, "It is gone.", Content::Empty)])
        .problems(&[404]),
];

const SHARDS: &[Operation] = &[
    operation("GET", "Lists the shards and tells of the move.").answers(&[answer(
        200,
        "Shards and move.",
        Content::Json("Shards"),
    )]),
    operation("POST", "Adds a shard while serving.")
        .parameters(&[Parameter::DryRun])
        .body(Content::Json("AddShard"))
        .answers(MOVING),
];

const REBALANCE: &[Operation] = &[
    operation("POST", "Gives shards other weights, or goes on with a move.")
        .parameters(&[Parameter::DryRun])
        .body(Content::Json("Rebalance"))
        .answers(MOVING)
        .problems(&[404]),
    operation("DELETE", "Removes a shard that is called rebalance.")
        .parameters(&[Parameter::DryRun])
        .answers(MOVING)
        .problems(&[404]),
];

const SHARD: &[Operation] = &[operation("DELETE", "Takes all out of a shard and removes it.")
    .parameters(&[Parameter::DryRun])
    .answers(MOVING)
    .problems(&[404])];

const MOVING: &[Answered] = &[
    answer(200, "What would move.", Content::Json("Moves")),
    answer(202, "Entries move from now on.", Content::Json("Shards")),
];

const ENCRYPTION: &[Operation] = &[operation("GET", "Tells which keys encrypt, and how far a rotation is.")
    .answers(&[answer(200, "Keys and progress.", Content::Json("Encryption"))])];

const ROTATE: &[Operation] = &[operation("POST", "Reads the encryption keys again and takes values along.")
    .answers(&[answer(202, "It goes on in the background.", Content::Json("Encryption"))])];

const OPENAPI: &[Operation] = &[operation("GET", "Describes this interface.").apart().answers(&[answer(
    200,
    "This document.",
    Content::Json("OpenApi"),
)])];

const LIVEZ: &[Operation] = &[operation("GET", "Tells whether the process answers.")
    .apart()
    .answers(&[answer(200, "It does.", Content::Text)])];

const READYZ: &[Operation] = &[operation("GET", "Tells whether the server can do its work.")
    .apart()
    .parameters(&[Parameter::Verbose])
    .answers(&[answer(200, "It can.", Content::Text), answer(503, "It cannot, and why.", Content::Text)])];

const METRICS: &[Operation] = &[operation("GET", "Tells figures as Prometheus reads them.")
    .answers(&[answer(200, "The figures.", Content::Metrics)])];
