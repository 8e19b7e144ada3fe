//! The catalog's rows, by family.
//!
//! The macro makes three things of them: the closed set [`CommandId`], the table [`CATALOG`], and the
//! one `match` that calls a command's function, so that a command cannot be in one and not another.
//! Columns: id, name, arity, flags, keys (first last step), group, since, syntax, summary, reply => function.

use super::{
    Args, bit, bit_field, bit_operation,
    catalog::{Flag, Flags, Keys, Row},
    change_feed, client, client_tracking, cluster, config, connection, counter, debug, dump, expiry, index,
    info, introspection, key, keyspace, latency, lcs, memory, object, publish, range, search, server,
    slow_log, string, transaction, transfer,
};
use crate::{error::Result, reply::ReplyWriter, session::Session};

macro_rules! catalog {
    ($($id:ident $name:literal $arity:literal [$($flag:ident)*] ($first:literal $last:literal $step:literal)
        $group:literal $since:literal $syntax:literal $summary:literal $reply:literal
        => $family:ident::$function:ident;)*) => {
        /// The commands, in the order of [`CATALOG`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u16)]
        #[allow(missing_docs, reason = "the rows say it")]
        pub enum CommandId { $($id),* }

        /// Every command's row; `CATALOG[id as usize]` is the row of `id`.
        pub static CATALOG: &[Row] = &[$(Row {
            id: CommandId::$id,
            name: $name,
            arity: $arity,
            flags: Flags::of($name, &[$(Flag::$flag),*]),
            keys: Keys { first: $first, last: $last, step: $step },
            group: $group,
            since: $since,
            syntax: $syntax,
            summary: $summary,
            reply: $reply,
        }),*];

        /// Runs a command whose arity and rights were checked.
        #[inline]
        pub(crate) async fn dispatch(
            id: CommandId,
            session: &mut Session,
            args: Args<'_>,
            reply: &mut ReplyWriter,
        ) -> Result<()> {
            match id {
                $(CommandId::$id => $family::$function(session, args, reply).await,)*
            }
        }
    };
}

#[rustfmt::skip]
catalog! {
    // Connection
    Auth "auth" -2 [Fast NoAuth Connection] (0 0 0) "connection" "1.0.0" "[username] password"
        "Authenticates the connection." "OK" => connection::auth;
    Client "client" -2 [Container] (0 0 0) "connection" "2.4.0" ""
        "Holds the commands about client connections." "depends on the subcommand" => connection::container;
    ClientCaching "client|caching" 3 [Connection] (0 0 0) "connection" "6.0.0" "<YES | NO>"
        "Refuses: nothing is tracked." "error" => client_tracking::caching;
    ClientGetname "client|getname" 2 [Fast Connection] (0 0 0) "connection" "2.6.9" ""
        "Tells the connection's name." "bulk, or null without a name" => client::getname;
    ClientGetredir "client|getredir" 2 [Connection] (0 0 0) "connection" "6.0.0" ""
        "Tells where messages of tracking go: nowhere." "integer: -1" => client_tracking::getredir;
    ClientHelp "client|help" 2 [Fast] (0 0 0) "connection" "5.0.0" ""
        "Lists the subcommands." "array of lines" => introspection::help;
    ClientId "client|id" 2 [Fast Connection] (0 0 0) "connection" "5.0.0" ""
        "Tells the connection's id." "integer" => client::id;
    ClientInfo "client|info" 2 [Connection] (0 0 0) "connection" "6.2.0" ""
        "Describes the connection." "bulk: one line of fields" => client::info;
    ClientKill "client|kill" -3 [Admin Dangerous] (0 0 0) "connection" "2.4.0"
        "<ip:port | [ID client-id] [TYPE <NORMAL | MASTER | REPLICA | PUBSUB>] [USER username] [ADDR ip:port] [LADDR ip:port] [SKIPME <YES | NO>]>"
        "Closes connections." "OK for an address, else integer: how many" => client::kill;
    ClientList "client|list" -2 [Admin Dangerous] (0 0 0) "connection" "2.4.0"
        "[TYPE <NORMAL | MASTER | REPLICA | PUBSUB>] [ID client-id [client-id ...]]"
        "Describes every connection." "bulk: one line of fields a connection" => client::list;
    ClientNoEvict "client|no-evict" 3 [Admin Dangerous Connection] (0 0 0) "connection" "7.0.0" "<ON | OFF>"
        "Spares the connection when connections are closed for want of memory." "OK" => client::no_evict;
    ClientNoTouch "client|no-touch" 3 [Fast Connection] (0 0 0) "connection" "7.2.0" "<ON | OFF>"
        "Notes that the connection's reads should not count as use of a key; CLIENT LIST shows it, and they still do." "OK" => client::no_touch;
    ClientPause "client|pause" -3 [Admin Dangerous] (0 0 0) "connection" "3.0.0" "timeout [WRITE | ALL]"
        "Holds back everyone's commands, or writes alone, for some milliseconds." "OK" => client::pause;
    ClientReply "client|reply" 3 [Connection] (0 0 0) "connection" "3.2.0" "<ON | OFF | SKIP>"
        "Turns replies to the connection on or off, or leaves out the next one." "OK for ON, else nothing" => client::reply;
    ClientSetinfo "client|setinfo" 4 [Fast Connection] (0 0 0) "connection" "7.2.0" "<LIB-NAME libname | LIB-VER libver>"
        "Notes which library the client uses." "OK" => client::setinfo;
    ClientSetname "client|setname" 3 [Fast Connection] (0 0 0) "connection" "2.6.9" "connection-name"
        "Names the connection." "OK" => client::setname;
    ClientTracking "client|tracking" -3 [Connection] (0 0 0) "connection" "6.0.0"
        "<ON | OFF> [REDIRECT client-id] [PREFIX prefix [PREFIX prefix ...]] [BCAST] [OPTIN] [OPTOUT] [NOLOOP]"
        "Turns tracking off; it cannot be turned on." "OK, or an error for ON" => client_tracking::tracking;
    ClientTrackinginfo "client|trackinginfo" 2 [Connection] (0 0 0) "connection" "6.2.0" ""
        "Tells that nothing is tracked." "map: flags, redirect, prefixes" => client_tracking::trackinginfo;
    ClientUnblock "client|unblock" -3 [Admin] (0 0 0) "connection" "5.0.0" "client-id [TIMEOUT | ERROR]"
        "Ends another connection's waiting, of which there is none." "integer: 0" => client_tracking::unblock;
    ClientUnpause "client|unpause" 2 [Admin Dangerous] (0 0 0) "connection" "6.2.0" ""
        "Ends a pause." "OK" => client::unpause;
    Echo "echo" 2 [Fast] (0 0 0) "connection" "1.0.0" "message"
        "Answers what it was given." "bulk" => connection::echo;
    Hello "hello" -1 [Fast NoAuth Connection] (0 0 0) "connection" "6.0.0"
        "[protover [AUTH username password] [SETNAME clientname]]"
        "Chooses the protocol version and introduces both sides." "map: server, version, proto, id, mode, role, modules" => connection::hello;
    Ping "ping" -1 [Fast] (0 0 0) "connection" "1.0.0" "[message]"
        "Answers PONG, or the word it was given." "simple or bulk" => connection::ping;
    Quit "quit" -1 [Fast NoAuth Connection] (0 0 0) "connection" "1.0.0" ""
        "Closes the connection." "OK" => connection::quit;
    Reset "reset" 1 [Fast NoAuth Connection] (0 0 0) "connection" "6.2.0" ""
        "Puts the connection's state back to what it was at first." "RESET" => connection::reset;
    Select "select" 2 [Fast Connection] (0 0 0) "connection" "1.0.0" "index"
        "Changes the connection's database." "OK" => connection::select;

    // Keys
    Copy "copy" -3 [Write Denyoom] (1 2 1) "generic" "6.2.0" "source destination [DB destination-db] [REPLACE]"
        "Copies an entry to another key, to one of another database too, unless that one is taken." "integer: 1, or 0 when it is taken or nothing was there" => key::copy;
    Dbsize "dbsize" 1 [Readonly Fast] (0 0 0) "server" "1.0.0" ""
        "Counts the keys of the database, expired ones that are not yet removed included." "integer" => keyspace::dbsize;
    Del "del" -2 [Write] (1 -1 1) "generic" "1.0.0" "key [key ...]"
        "Deletes keys." "integer: how many were there" => key::del;
    Dump "dump" 2 [Readonly] (1 1 1) "generic" "2.6.0" "key"
        "Tells a value in the form of Redis's snapshots, version 10, for RESTORE here or there." "bulk, or null when the key is absent" => dump::dump;
    Exists "exists" -2 [Readonly Fast] (1 -1 1) "generic" "1.0.0" "key [key ...]"
        "Counts which of the keys are there; one named twice counts twice." "integer" => key::exists;
    Expire "expire" -3 [Write Fast] (1 1 1) "generic" "1.0.0" "key seconds [NX | XX | GT | LT]"
        "Lets a key expire in some seconds." "integer: 1, or 0 when nothing was set" => expiry::expire;
    Expireat "expireat" -3 [Write Fast] (1 1 1) "generic" "1.2.0" "key unix-time-seconds [NX | XX | GT | LT]"
        "Lets a key expire at a Unix time in seconds." "integer: 1, or 0 when nothing was set" => expiry::expireat;
    Expiretime "expiretime" 2 [Readonly Fast] (1 1 1) "generic" "7.0.0" "key"
        "Tells when a key expires, as a Unix time in seconds." "integer; -1 for never, -2 for no such key" => expiry::expiretime;
    Flushall "flushall" -1 [Write AllGates Dangerous] (0 0 0) "server" "1.0.0" "[ASYNC | SYNC]"
        "Removes every key of every database." "OK" => keyspace::flushall;
    Flushdb "flushdb" -1 [Write AllGates Dangerous] (0 0 0) "server" "1.0.0" "[ASYNC | SYNC]"
        "Removes every key of the database." "OK" => keyspace::flushdb;
    KeysMatching "keys" 2 [Readonly Dangerous] (0 0 0) "generic" "1.0.0" "pattern"
        "Lists the keys that match a pattern, in slices that let other clients through." "array of bulks" => keyspace::keys;
    Move "move" 3 [Write Fast] (1 1 1) "generic" "1.0.0" "key db"
        "Moves an entry to the same key of another database, unless that one is taken." "integer: 1, or 0 when it is taken or nothing was there" => key::move_to;
    Object "object" -2 [Container] (0 0 0) "generic" "2.2.3" ""
        "Holds the commands about the inside of values." "depends on the subcommand" => connection::container;
    ObjectEncoding "object|encoding" 3 [Readonly] (2 2 1) "generic" "2.2.3" "key"
        "Tells how Redis would keep the value." "bulk: int, embstr or raw, or null when the key is absent" => object::encoding;
    ObjectFreq "object|freq" 3 [Readonly] (2 2 1) "generic" "4.0.0" "key"
        "Refuses to tell how often a key is used: eviction alone knows it." "null when the key is absent, else an error" => object::freq;
    ObjectHelp "object|help" 2 [] (0 0 0) "generic" "6.2.0" ""
        "Lists the subcommands." "array of lines" => introspection::help;
    ObjectIdletime "object|idletime" 3 [Readonly] (2 2 1) "generic" "2.2.3" "key"
        "Refuses to tell when a key was used last: no time of it is kept." "null when the key is absent, else an error" => object::idletime;
    ObjectRefcount "object|refcount" 3 [Readonly] (2 2 1) "generic" "2.2.3" "key"
        "Tells how many references a value has." "integer: 1, or null when the key is absent" => object::refcount;
    Persist "persist" 2 [Write Fast] (1 1 1) "generic" "2.2.0" "key"
        "Removes a key's expiry." "integer: 1, or 0 when there was none" => expiry::persist;
    Pexpire "pexpire" -3 [Write Fast] (1 1 1) "generic" "2.6.0" "key milliseconds [NX | XX | GT | LT]"
        "Lets a key expire in some milliseconds." "integer: 1, or 0 when nothing was set" => expiry::pexpire;
    Pexpireat "pexpireat" -3 [Write Fast] (1 1 1) "generic" "2.6.0" "key unix-time-milliseconds [NX | XX | GT | LT]"
        "Lets a key expire at a Unix time in milliseconds." "integer: 1, or 0 when nothing was set" => expiry::pexpireat;
    Pexpiretime "pexpiretime" 2 [Readonly Fast] (1 1 1) "generic" "7.0.0" "key"
        "Tells when a key expires, as a Unix time in milliseconds." "integer; -1 for never, -2 for no such key" => expiry::pexpiretime;
    Pttl "pttl" 2 [Readonly Fast] (1 1 1) "generic" "2.6.0" "key"
        "Tells how many milliseconds a key has left." "integer; -1 for never, -2 for no such key" => expiry::pttl;
    Randomkey "randomkey" 1 [Readonly] (0 0 0) "generic" "1.0.0" ""
        "Picks a key." "bulk, or null when there is none" => keyspace::randomkey;
    Rename "rename" 3 [Write] (1 2 1) "generic" "1.0.0" "key newkey"
        "Gives an entry another key, replacing what was there." "OK" => key::rename;
    Renamenx "renamenx" 3 [Write Fast] (1 2 1) "generic" "1.0.0" "key newkey"
        "Gives an entry another key, unless that one is taken." "integer: 1, or 0 when it is taken" => key::renamenx;
    Restore "restore" -4 [Write Denyoom Dangerous] (1 1 1) "generic" "2.6.0" "key ttl serialized-value [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency]"
        "Sets a key to what DUMP has told, here or in a Redis up to 7.2; ttl in milliseconds, 0 for none." "OK" => dump::restore;
    Scan "scan" -2 [Readonly] (0 0 0) "generic" "2.8.0" "cursor [MATCH pattern] [COUNT count] [TYPE type]"
        "Lists keys page by page: those there all the time are seen once." "array: the next cursor, array of keys" => keyspace::scan;
    Swapdb "swapdb" 3 [Write AllGates Fast Dangerous] (0 0 0) "server" "4.0.0" "index1 index2"
        "Swaps two databases for everyone at once." "OK" => keyspace::swapdb;
    Touch "touch" -2 [Readonly Fast] (1 -1 1) "generic" "3.2.1" "key [key ...]"
        "Counts as use of the keys." "integer: how many are there" => key::exists;
    Ttl "ttl" 2 [Readonly Fast] (1 1 1) "generic" "1.0.0" "key"
        "Tells how many seconds a key has left." "integer; -1 for never, -2 for no such key" => expiry::ttl;
    Type "type" 2 [Readonly Fast] (1 1 1) "generic" "1.0.0" "key"
        "Tells what a key holds." "simple: string, or none" => key::kind;
    Unlink "unlink" -2 [Write Fast] (1 -1 1) "generic" "4.0.0" "key [key ...]"
        "Deletes keys." "integer: how many were there" => key::del;
    Wait "wait" 3 [] (0 0 0) "generic" "3.0.0" "numreplicas timeout"
        "Tells how many replicas have what was written, at once: there are none." "integer: 0" => server::wait;

    // Strings
    Append "append" 3 [Write Denyoom Fast] (1 1 1) "string" "2.0.0" "key value"
        "Adds to the end of a value." "integer: the new length" => range::append;
    Decr "decr" 2 [Write Denyoom Fast] (1 1 1) "string" "1.0.0" "key"
        "Takes one from a number." "integer: the new number" => counter::decr;
    Decrby "decrby" 3 [Write Denyoom Fast] (1 1 1) "string" "1.0.0" "key decrement"
        "Takes from a number." "integer: the new number" => counter::decrby;
    Delifeq "delifeq" 3 [Write Fast] (1 1 1) "string" "9.0.0" "key value"
        "Deletes a key if it holds this value." "integer: 1, or 0 when it does not" => string::delifeq;
    Get "get" 2 [Readonly Fast] (1 1 1) "string" "1.0.0" "key"
        "Reads the value of a key." "bulk, or null when the key is absent" => string::get;
    Getdel "getdel" 2 [Write Fast] (1 1 1) "string" "6.2.0" "key"
        "Reads the value of a key and deletes it." "bulk, or null when the key is absent" => string::getdel;
    Getex "getex" -2 [Write Fast] (1 1 1) "string" "6.2.0"
        "key [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | PERSIST]"
        "Reads the value of a key and changes its expiry." "bulk, or null when the key is absent" => string::getex;
    Getrange "getrange" 4 [Readonly] (1 1 1) "string" "2.4.0" "key start end"
        "Reads a part of a value." "bulk" => range::getrange;
    Getset "getset" 3 [Write Denyoom Fast] (1 1 1) "string" "1.0.0" "key value"
        "Sets the value of a key and answers the old one." "bulk, or null when the key was absent" => string::getset;
    Incr "incr" 2 [Write Denyoom Fast] (1 1 1) "string" "1.0.0" "key"
        "Adds one to a number." "integer: the new number" => counter::incr;
    Incrby "incrby" 3 [Write Denyoom Fast] (1 1 1) "string" "1.0.0" "key increment"
        "Adds to a number." "integer: the new number" => counter::incrby;
    Incrbyfloat "incrbyfloat" 3 [Write Denyoom Fast] (1 1 1) "string" "2.6.0" "key increment"
        "Adds to a number with a fraction." "bulk: the new number" => counter::incrbyfloat;
    Lcs "lcs" -3 [Readonly] (1 2 1) "string" "7.0.0" "key1 key2 [LEN] [IDX] [MINMATCHLEN min-match-len] [WITHMATCHLEN]"
        "Finds the longest common subsequence of two values; the product of their lengths is limited to 134217728." "bulk; integer with LEN; map of matches and len with IDX" => lcs::lcs;
    Mget "mget" -2 [Readonly Fast] (1 -1 1) "string" "1.0.0" "key [key ...]"
        "Reads several values as of one moment." "array of bulks, null for absent keys" => string::mget;
    Mset "mset" -3 [Write Denyoom] (1 -1 2) "string" "1.0.1" "key value [key value ...]"
        "Sets several values at once, all or none." "OK" => string::mset;
    Msetnx "msetnx" -3 [Write Denyoom] (1 -1 2) "string" "1.0.1" "key value [key value ...]"
        "Sets several values at once if none of the keys is there." "integer: 1, or 0 when one was there" => string::msetnx;
    Psetex "psetex" 4 [Write Denyoom] (1 1 1) "string" "2.6.0" "key milliseconds value"
        "Sets the value of a key that expires in some milliseconds." "OK" => string::psetex;
    Set "set" -3 [Write Denyoom] (1 1 1) "string" "1.0.0"
        "key value [NX | XX | IFEQ comparison-value] [GET] [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | KEEPTTL]"
        "Sets the value of a key." "OK, null when a condition failed, or the old value with GET" => string::set;
    Setex "setex" 4 [Write Denyoom] (1 1 1) "string" "2.0.0" "key seconds value"
        "Sets the value of a key that expires in some seconds." "OK" => string::setex;
    Setnx "setnx" 3 [Write Denyoom Fast] (1 1 1) "string" "1.0.0" "key value"
        "Sets the value of a key that is not there." "integer: 1, or 0 when it was there" => string::setnx;
    Setrange "setrange" 4 [Write Denyoom] (1 1 1) "string" "2.2.0" "key offset value"
        "Writes over a part of a value." "integer: the new length" => range::setrange;
    Strlen "strlen" 2 [Readonly Fast] (1 1 1) "string" "2.2.0" "key"
        "Tells how many bytes a value has." "integer; 0 when the key is absent" => range::strlen;
    Substr "substr" 4 [Readonly] (1 1 1) "string" "1.0.0" "key start end"
        "Reads a part of a value; GETRANGE's old name." "bulk" => range::getrange;

    // Bits
    Bitcount "bitcount" -2 [Readonly] (1 1 1) "bitmap" "2.6.0" "key [start end [BYTE | BIT]]"
        "Counts the bits of a value, or of a part of it, that are set." "integer" => bit::bitcount;
    Bitfield "bitfield" -2 [Write Denyoom] (1 1 1) "bitmap" "3.2.0"
        "key [GET encoding offset | [OVERFLOW <WRAP | SAT | FAIL>] <SET encoding offset value | INCRBY encoding offset increment> [GET encoding offset | [OVERFLOW <WRAP | SAT | FAIL>] <SET encoding offset value | INCRBY encoding offset increment> ...]]"
        "Reads and writes integers of any width at any bit of a value, as one step." "array of integers: old numbers for SET, new ones for INCRBY, null for an overflow that fails" => bit_field::bitfield;
    BitfieldRo "bitfield_ro" -2 [Readonly Fast] (1 1 1) "bitmap" "6.0.0" "key [GET encoding offset [GET encoding offset ...]]"
        "Reads integers of any width at any bit of a value." "array of integers" => bit_field::bitfield_ro;
    Bitop "bitop" -4 [Write Denyoom] (2 -1 1) "bitmap" "2.6.0" "<AND | OR | XOR | NOT> destkey key [key ...]"
        "Sets a key to what an operation makes of the bits of others, as one step." "integer: the length of the result" => bit_operation::bitop;
    Bitpos "bitpos" -3 [Readonly] (1 1 1) "bitmap" "2.8.7" "key bit [start [end [BYTE | BIT]]]"
        "Finds the first bit of a value, or of a part of it, that is set or is not." "integer; -1 when there is none" => bit::bitpos;
    Getbit "getbit" 3 [Readonly Fast] (1 1 1) "bitmap" "2.2.0" "key offset"
        "Reads a bit of a value; those behind its end are 0." "integer" => bit::getbit;
    Setbit "setbit" 4 [Write Denyoom] (1 1 1) "bitmap" "2.2.0" "key offset value"
        "Writes a bit of a value, which grows as needed." "integer: what the bit was" => bit::setbit;

    // Publish and subscribe
    Psubscribe "psubscribe" -2 [PubSub Connection] (0 0 0) "pubsub" "2.0.0" "pattern [pattern ...]"
        "Listens to the channels that match patterns." "a push for each: psubscribe, pattern, number of subscriptions" => publish::psubscribe;
    Publish "publish" 3 [PubSub Fast] (0 0 0) "pubsub" "2.0.0" "channel message"
        "Hands a message to everyone who listens to a channel now." "integer: how often it was handed out" => publish::publish;
    Pubsub "pubsub" -2 [Container] (0 0 0) "pubsub" "2.8.0" ""
        "Holds the commands about who listens to what." "depends on the subcommand" => connection::container;
    PubsubChannels "pubsub|channels" -2 [PubSub] (0 0 0) "pubsub" "2.8.0" "[pattern]"
        "Lists the channels that have subscribers, those that match a pattern." "array of bulks" => publish::channels;
    PubsubHelp "pubsub|help" 2 [] (0 0 0) "pubsub" "6.2.0" ""
        "Lists the subcommands." "array of lines" => introspection::help;
    PubsubNumpat "pubsub|numpat" 2 [PubSub] (0 0 0) "pubsub" "2.8.0" ""
        "Counts the patterns that have subscribers." "integer" => publish::numpat;
    PubsubNumsub "pubsub|numsub" -2 [PubSub] (0 0 0) "pubsub" "2.8.0" "[channel [channel ...]]"
        "Counts the subscribers of channels, those by patterns not included." "array: channels and numbers, alternating" => publish::numsub;
    PubsubShardchannels "pubsub|shardchannels" -2 [PubSub] (0 0 0) "pubsub" "7.0.0" "[pattern]"
        "Lists the channels of SPUBLISH that have subscribers, those that match a pattern." "array of bulks" => publish::shardchannels;
    PubsubShardnumsub "pubsub|shardnumsub" -2 [PubSub] (0 0 0) "pubsub" "7.0.0" "[shardchannel [shardchannel ...]]"
        "Counts the subscribers of channels of SPUBLISH." "array: channels and numbers, alternating" => publish::shardnumsub;
    Punsubscribe "punsubscribe" -1 [PubSub Connection] (0 0 0) "pubsub" "2.0.0" "[pattern [pattern ...]]"
        "Listens to patterns no more; to none at all when none is given." "a push for each: punsubscribe, pattern, number of subscriptions" => publish::punsubscribe;
    Spublish "spublish" 3 [PubSub Fast] (1 1 1) "pubsub" "7.0.0" "shardchannel message"
        "Hands a message to everyone who listens to a channel of SSUBSCRIBE now." "integer: how often it was handed out" => publish::spublish;
    Ssubscribe "ssubscribe" -2 [PubSub Connection] (1 -1 1) "pubsub" "7.0.0" "shardchannel [shardchannel ...]"
        "Listens to channels of SPUBLISH." "a push for each: ssubscribe, channel, number of such subscriptions" => publish::ssubscribe;
    Subscribe "subscribe" -2 [PubSub Connection] (0 0 0) "pubsub" "2.0.0" "channel [channel ...]"
        "Listens to channels." "a push for each: subscribe, channel, number of subscriptions" => publish::subscribe;
    Sunsubscribe "sunsubscribe" -1 [PubSub Connection] (1 -1 1) "pubsub" "7.0.0" "[shardchannel [shardchannel ...]]"
        "Listens to channels of SPUBLISH no more; to none at all when none is given." "a push for each: sunsubscribe, channel, number of such subscriptions" => publish::sunsubscribe;
    Unsubscribe "unsubscribe" -1 [PubSub Connection] (0 0 0) "pubsub" "2.0.0" "[channel [channel ...]]"
        "Listens to channels no more; to none at all when none is given." "a push for each: unsubscribe, channel, number of subscriptions" => publish::unsubscribe;

    // Transactions
    Discard "discard" 1 [Fast Connection] (0 0 0) "transactions" "2.0.0" ""
        "Forgets what MULTI has queued, and what is watched." "OK" => transaction::discard;
    Exec "exec" 1 [Connection] (0 0 0) "transactions" "1.2.0" ""
        "Executes what MULTI has queued, as one step." "array of the replies, or null when a watched key has changed" => transaction::exec;
    Multi "multi" 1 [Fast Connection] (0 0 0) "transactions" "1.2.0" ""
        "Queues the commands that follow until EXEC." "OK" => transaction::multi;
    Unwatch "unwatch" 1 [Fast Connection] (0 0 0) "transactions" "2.2.0" ""
        "Forgets what is watched." "OK" => transaction::unwatch;
    Watch "watch" -2 [Fast Connection] (1 -1 1) "transactions" "2.2.0" "key [key ...]"
        "Lets EXEC do nothing if one of the keys has changed by then." "OK" => transaction::watch;

    // Cluster
    Cluster "cluster" -2 [Container] (0 0 0) "cluster" "3.0.0" ""
        "Holds the commands of clients that ask for a cluster." "depends on the subcommand" => connection::container;
    ClusterHelp "cluster|help" 2 [] (0 0 0) "cluster" "5.0.0" ""
        "Lists the subcommands." "array of lines" => introspection::help;
    ClusterInfo "cluster|info" 2 [] (0 0 0) "cluster" "3.0.0" ""
        "Tells that this server is alone and holds every slot." "verbatim text" => cluster::info;
    ClusterKeyslot "cluster|keyslot" 3 [] (0 0 0) "cluster" "3.0.0" "key"
        "Tells which slot a key has in a cluster of Redis." "integer" => cluster::keyslot;
    ClusterMyid "cluster|myid" 2 [] (0 0 0) "cluster" "3.0.0" ""
        "Tells the server's id, new at each start." "bulk: 40 hexadecimal digits" => cluster::myid;

    // Server
    Acl "acl" -2 [Container] (0 0 0) "server" "6.0.0" ""
        "Holds the commands about users." "depends on the subcommand" => connection::container;
    AclHelp "acl|help" 2 [] (0 0 0) "server" "6.0.0" ""
        "Lists the subcommands." "array of lines" => introspection::help;
    AclWhoami "acl|whoami" 2 [] (0 0 0) "server" "6.0.0" ""
        "Tells the user of the connection; there is one." "bulk: default" => server::whoami;
    Bgsave "bgsave" -1 [Admin Dangerous] (0 0 0) "server" "1.0.0" "[SCHEDULE]"
        "Begins a snapshot." "simple" => server::bgsave;
    Command "command" -1 [Container] (0 0 0) "server" "2.8.13" ""
        "Describes every command." "array, one element a command" => introspection::command;
    CommandCount "command|count" 2 [] (0 0 0) "server" "2.8.13" ""
        "Counts the commands." "integer" => introspection::count;
    CommandDocs "command|docs" -2 [] (0 0 0) "server" "7.0.0" "[command-name [command-name ...]]"
        "Documents commands." "map: name to map" => introspection::docs;
    CommandGetkeys "command|getkeys" -3 [] (0 0 0) "server" "2.8.13" "command [arg [arg ...]]"
        "Tells which words of a request are keys." "array of bulks" => introspection::getkeys;
    CommandHelp "command|help" 2 [] (0 0 0) "server" "5.0.0" ""
        "Lists the subcommands." "array of lines" => introspection::help;
    CommandInfo "command|info" -2 [] (0 0 0) "server" "2.8.13" "[command-name [command-name ...]]"
        "Describes some commands." "array, null for unknown ones" => introspection::info;
    CommandList "command|list" -2 [] (0 0 0) "server" "7.0.0" "[FILTERBY <MODULE module-name | ACLCAT category | PATTERN pattern>]"
        "Lists the names of commands." "array of bulks" => introspection::list;
    Config "config" -2 [Container] (0 0 0) "server" "2.0.0" ""
        "Holds the commands about settings." "depends on the subcommand" => connection::container;
    ConfigGet "config|get" -3 [Admin Dangerous] (0 0 0) "server" "2.0.0" "parameter [parameter ...]"
        "Reads the settings whose names match patterns." "map: name to value" => config::get;
    ConfigHelp "config|help" 2 [] (0 0 0) "server" "5.0.0" ""
        "Lists the subcommands." "array of lines" => introspection::help;
    ConfigResetstat "config|resetstat" 2 [Admin Dangerous] (0 0 0) "server" "2.0.0" ""
        "Sets INFO's counters back to zero." "OK" => config::resetstat;
    ConfigRewrite "config|rewrite" 2 [Admin Dangerous] (0 0 0) "server" "2.8.0" ""
        "Puts what CONFIG SET has changed into the file that --config names." "OK" => config::rewrite;
    ConfigSet "config|set" -4 [Admin Dangerous] (0 0 0) "server" "2.0.0" "parameter value [parameter value ...]"
        "Changes settings while the server runs, all or none." "OK" => config::set;
    Debug "debug" -2 [Container Admin Dangerous] (0 0 0) "server" "1.0.0" ""
        "Holds what test suites of clients need; only with `--enable-debug-command`." "depends on the subcommand" => connection::container;
    DebugHelp "debug|help" 2 [Admin] (0 0 0) "server" "1.0.0" ""
        "Lists the subcommands." "array of lines" => introspection::help;
    DebugObject "debug|object" 3 [Readonly Admin Dangerous] (2 2 1) "server" "1.0.0" "key"
        "Tells how Redis would keep a value; what has no meaning here is 0." "simple: fields, as Redis has them" => debug::inspect;
    DebugProtocol "debug|protocol" 3 [Admin Dangerous] (0 0 0) "server" "1.0.0"
        "<STRING | INTEGER | DOUBLE | BIGNUM | NULL | ARRAY | SET | MAP | ATTRIB | PUSH | VERBATIM | TRUE | FALSE>"
        "Answers with a reply of a type." "as asked for" => debug::protocol;
    DebugSetActiveExpire "debug|set-active-expire" 3 [Admin Dangerous] (0 0 0) "server" "1.0.0" "<0 | 1>"
        "Lets what has expired stay in memory or on disk, absent to readers, or be removed again." "OK" => debug::set_active_expire;
    DebugSleep "debug|sleep" 3 [Admin NoMulti Dangerous] (0 0 0) "server" "1.0.0" "seconds"
        "Keeps the connection waiting, and nobody else; 300 seconds at most." "OK" => debug::sleep;
    Info "info" -1 [Dangerous] (0 0 0) "server" "1.0.0" "[section [section ...]]"
        "Tells how the server is doing." "verbatim text" => info::info;
    Lastsave "lastsave" 1 [Fast Admin Dangerous] (0 0 0) "server" "1.0.0" ""
        "Tells when the last snapshot was finished, as a Unix time in seconds." "integer" => server::lastsave;
    Latency "latency" -2 [Container] (0 0 0) "server" "2.8.13" ""
        "Holds the commands about how long commands take." "depends on the subcommand" => connection::container;
    LatencyDoctor "latency|doctor" 2 [Admin Dangerous] (0 0 0) "server" "2.8.13" ""
        "Tells what was slow, and where to look further." "verbatim text" => latency::doctor;
    LatencyGraph "latency|graph" 3 [Admin Dangerous] (0 0 0) "server" "2.8.13" "event"
        "Draws the samples of an event." "verbatim text" => latency::draw;
    LatencyHelp "latency|help" 2 [] (0 0 0) "server" "2.8.13" ""
        "Lists the subcommands." "array of lines" => introspection::help;
    LatencyHistogram "latency|histogram" -2 [Admin Dangerous] (0 0 0) "server" "7.0.0" "[command [command ...]]"
        "Tells how many calls of commands took how long; fast ones that came together count with their average." "map: name to map of calls, and of microseconds to the number of calls up to there" => latency::histogram;
    LatencyHistory "latency|history" 3 [Admin Dangerous] (0 0 0) "server" "2.8.13" "event"
        "Lists the samples of an event, of each second the worst." "array of pairs: Unix time in seconds, milliseconds" => latency::history;
    LatencyLatest "latency|latest" 2 [Admin Dangerous] (0 0 0) "server" "2.8.13" ""
        "Tells the latest and the worst sample of each event: `command`, `fast-command`." "array, an element an event: name, Unix time in seconds, latest and worst in milliseconds" => latency::latest;
    LatencyReset "latency|reset" -2 [Admin Dangerous] (0 0 0) "server" "2.8.13" "[event [event ...]]"
        "Forgets the samples of events, or of all." "integer: of how many events there were some" => latency::reset;
    Lolwut "lolwut" -1 [Fast] (0 0 0) "server" "5.0.0" "[VERSION version]"
        "Shows a chest, and the version." "verbatim text" => server::lolwut;
    Memory "memory" -2 [Container] (0 0 0) "server" "4.0.0" ""
        "Holds the commands about memory." "depends on the subcommand" => connection::container;
    MemoryHelp "memory|help" 2 [] (0 0 0) "server" "4.0.0" ""
        "Lists the subcommands." "array of lines" => introspection::help;
    MemoryUsage "memory|usage" -3 [Readonly] (2 2 1) "server" "4.0.0" "key [SAMPLES count]"
        "Tells how many bytes a key and its value take in memory." "integer, or null when the key is absent" => memory::usage;
    Module "module" -2 [Container] (0 0 0) "server" "4.0.0" ""
        "Holds the commands about modules." "depends on the subcommand" => connection::container;
    ModuleHelp "module|help" 2 [] (0 0 0) "server" "5.0.0" ""
        "Lists the subcommands." "array of lines" => introspection::help;
    ModuleList "module|list" 2 [Admin] (0 0 0) "server" "4.0.0" ""
        "Lists the modules: there are none." "empty array" => server::modules;
    Monitor "monitor" 1 [Admin Dangerous Connection] (0 0 0) "server" "1.0.0" ""
        "Shows the connection every command that a client of the Redis protocol has executed, until RESET." "OK, then a simple string a command" => server::monitor;
    Save "save" 1 [Admin NoMulti Dangerous] (0 0 0) "server" "1.0.0" ""
        "Takes a snapshot and answers when it is on disk." "OK" => server::save;
    Shutdown "shutdown" -1 [Admin NoMulti Dangerous] (0 0 0) "server" "1.0.0" "[NOSAVE | SAVE] [NOW] [FORCE] [ABORT]"
        "Stops the server." "nothing: the connection is closed; OK for ABORT" => server::shutdown;
    Slowlog "slowlog" -2 [Container] (0 0 0) "server" "2.2.12" ""
        "Holds the commands about slow commands." "depends on the subcommand" => connection::container;
    SlowlogGet "slowlog|get" -2 [Admin Dangerous] (0 0 0) "server" "2.2.12" "[count]"
        "Lists the slow commands, newest first, 10 if nothing is said and all for -1." "array, an element a command: id, Unix time in seconds, microseconds, array of its words, the client's address and name" => slow_log::get;
    SlowlogHelp "slowlog|help" 2 [] (0 0 0) "server" "6.2.0" ""
        "Lists the subcommands." "array of lines" => introspection::help;
    SlowlogLen "slowlog|len" 2 [Admin Dangerous] (0 0 0) "server" "2.2.12" ""
        "Counts the slow commands that are kept." "integer" => slow_log::len;
    SlowlogReset "slowlog|reset" 2 [Admin Dangerous] (0 0 0) "server" "2.2.12" ""
        "Forgets the slow commands." "OK" => slow_log::reset;
    Time "time" 1 [Fast] (0 0 0) "server" "2.6.0" ""
        "Tells the server's time." "array: Unix time in seconds, microseconds within it" => server::time;

    // Tresor's own
    TresorAbort "tresor.abort" 1 [NoMulti Fast Connection] (0 0 0) "tresor" "0.1.0" ""
        "Discards the connection's transaction and frees its locks." "OK" => transaction::abort;
    TresorBegin "tresor.begin" 1 [NoMulti Fast Connection] (0 0 0) "tresor" "0.1.0" ""
        "Begins a transaction with locks, to which every command of the connection belongs until it ends." "integer: its number" => transaction::begin;
    TresorChanges "tresor.changes" -1 [Readonly NoMulti Connection] (0 0 0) "tresor" "0.1.0" "[STOP] [SINCE position] [PREFIX prefix] [VALUES]"
        "Tells what happens to the entries of the selected database from now on, or from a position, as pushes: tresor.changes, sequence, kind, key, and if asked for value and version. RESP3 only." "the position where it begins; OK for STOP" => change_feed::changes;
    TresorCommit "tresor.commit" 1 [NoMulti Connection] (0 0 0) "tresor" "0.1.0" ""
        "Applies everything that the connection's transaction has written, as one step." "OK" => transaction::commit;
    TresorDelmatch "tresor.delmatch" -2 [Write NoMulti Dangerous] (0 0 0) "tresor" "0.1.0"
        "option value [option value ...] [DRYRUN]"
        "Deletes what a query finds, said as for TRESOR.FIND, or with DRYRUN counts it." "integer: how many" => search::delmatch;
    TresorFind "tresor.find" -1 [Readonly] (0 0 0) "tresor" "0.1.0"
        "[KEY key [KEY key ...]] [PREFIX prefix] [GLOB glob] [REGEX regex] [FROM from] [AFTER after] [TO to] [BEFORE before] [FIELD pointer] [VALUE_PREFIX value-prefix] [VALUE_GLOB value-glob] [VALUE_REGEX value-regex] [VALUE_FROM value-from] [VALUE_AFTER value-after] [VALUE_TO value-to] [VALUE_BEFORE value-before] [VALUE_AS <TEXT | BYTES | NUMBER>] [NEAREST vector [METRIC <L2 | COSINE | IP>]] [ORDER <ASC | DESC | ANY>] [LIMIT limit] [CURSOR cursor] [WITHVALUES] [EXPLAIN]"
        "Finds entries by patterns and ranges of keys and values, or those nearest to a vector, a page at a time." "map: cursor (null at the end), skipped (how many could not be read as a condition wants it), plan if asked for, entries (keys, or arrays of key, distance and value)" => search::find;
    TresorIndex "tresor.index" -2 [Container] (0 0 0) "tresor" "0.1.0" ""
        "Holds the commands about indexes." "depends on the subcommand" => connection::container;
    TresorIndexCreate "tresor.index|create" -3 [Write NoMulti Admin] (0 0 0) "tresor" "0.1.0"
        "name [PREFIX prefix] [FIELD pointer] [VALUE_AS <TEXT | BYTES | NUMBER>] [DIMENSIONS dimensions [METRIC <L2 | COSINE | IP>]]"
        "Defines an index of the selected database: of values in order, or of vectors by nearness." "OK: it is built from now on" => index::create;
    TresorIndexDrop "tresor.index|drop" 3 [Write NoMulti Admin] (0 0 0) "tresor" "0.1.0" "name"
        "Drops an index." "OK" => index::drop_index;
    TresorIndexHelp "tresor.index|help" 2 [] (0 0 0) "tresor" "0.1.0" ""
        "Lists the subcommands." "array of lines" => introspection::help;
    TresorIndexList "tresor.index|list" 2 [Readonly] (0 0 0) "tresor" "0.1.0" ""
        "Lists the indexes of all databases and how they are doing." "array, an element an index: map of what it is of, state (building, ready or failed) and figures" => index::list;
    TresorPut "tresor.put" -4 [Write Denyoom] (1 1 1) "tresor" "0.1.0" "key value <RAW | JSON> [PXAT unix-time-milliseconds]"
        "Sets value, kind and expiry of a key as one; `tresor load` uses it." "OK" => transfer::put;
    TresorRollback "tresor.rollback" 1 [NoMulti Connection] (0 0 0) "tresor" "0.1.0" ""
        "Takes back the latest write of the connection's transaction that was not taken back yet; the locks stay."
        "array: each key that it wrote, and the value it is back to or null" => transaction::rollback;
    TresorScan "tresor.scan" -2 [Readonly] (0 0 0) "tresor" "0.1.0" "cursor [COUNT count]"
        "Lists entries page by page; `tresor dump` uses it." "array: the next cursor, array of entries: key, value, kind, expiry or null" => transfer::scan;
}
