//! What went wrong on the cluster, as an error that says whether anything may have changed.
//!
//! A read that fails has changed nothing. A write that was refused before any replica was asked has
//! not either; every other failure of a write leaves its outcome open, and is never hidden by trying
//! again.

use scylla::errors::{
    ConnectionError, ConnectionPoolError, ConnectionSetupRequestErrorKind, DbError, ExecutionError,
    MetadataError, NewSessionError, PrepareError, RequestAttemptError,
};
use tresor::{Error, ErrorKind};

/// What a request was about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Intent {
    /// Nothing that anybody could notice: a read, or a write whose loss does no harm.
    Harmless,
    /// To change something.
    Change,
}

/// The error for a request that failed.
pub(crate) fn of_request(error: ExecutionError, intent: Intent) -> Error {
    if let Some(refused) = refused_as_is(&error) {
        return refused.caused_by(error);
    }
    if intent == Intent::Harmless || was_refused(&error) {
        let message = "the cluster does not answer; see `tresor cassandra status`";
        return Error::new(ErrorKind::Unavailable, message).caused_by(error);
    }
    let message = "the cluster did not say whether it made the change; read it to find out";
    Error::new(ErrorKind::UnknownOutcome, message).caused_by(error)
}

/// The error for a request that nobody waited for any longer.
pub(crate) fn of_time(intent: Intent) -> Error {
    match intent {
        Intent::Harmless => {
            Error::new(ErrorKind::Unavailable, "the cluster did not answer in time; try again later")
        }
        Intent::Change => Error::new(
            ErrorKind::UnknownOutcome,
            "the cluster did not answer in time, and may have made the change; read it to find out",
        ),
    }
}

/// The error for a user whom the cluster does not let in.
pub(crate) fn of_user(error: &NewSessionError) -> Option<Error> {
    let NewSessionError::MetadataError(MetadataError::ConnectionPoolError(ConnectionPoolError::Broken {
        last_connection_error: ConnectionError::ConnectionSetupRequestError(setup),
    })) = error
    else {
        return None;
    };
    let message = match setup.error {
        ConnectionSetupRequestErrorKind::DbError(DbError::AuthenticationError, _) => {
            "Cassandra does not know this user with this password: see --cassandra-user and --cassandra-password-file"
        }
        ConnectionSetupRequestErrorKind::MissingAuthentication => {
            "Cassandra wants a user and a password: give --cassandra-user and --cassandra-password-file"
        }
        _ => return None,
    };
    Some(Error::new(ErrorKind::Unauthorized, message))
}

/// The error for a statement that the cluster does not take.
pub(crate) fn of_preparation(error: PrepareError) -> Error {
    Error::new(ErrorKind::Unavailable, "the cluster does not take Tresor's statements").caused_by(error)
}

/// A table that is not there: nobody has written to that database yet. For a moment while it is being made
/// Cassandra knows its name and not its contents, and takes that for a fault of its own.
pub(crate) fn is_missing_table(error: &PrepareError) -> bool {
    let PrepareError::AllAttemptsFailed { first_attempt } = error else { return false };
    let RequestAttemptError::DbError(error, reason) = first_attempt else { return false };
    let says = |words: &str| reason.contains(words);
    match error {
        DbError::Invalid => says("does not exist") || says("unconfigured table"),
        DbError::ServerError => says("Unknown CF"),
        _ => false,
    }
}

/// Failures that mean the same whenever they come.
fn refused_as_is(error: &ExecutionError) -> Option<Error> {
    let ExecutionError::LastAttemptError(RequestAttemptError::DbError(error, reason)) = error else {
        return None;
    };
    match error {
        DbError::Unauthorized => {
            let message = "Cassandra does not grant this right to Tresor's user";
            Some(Error::new(ErrorKind::Unsupported, message))
        }
        DbError::Invalid if reason.contains("too large") || reason.contains("too big") => {
            let message =
                "Cassandra takes no value of this size; raise max_mutation_size there, or store less";
            Some(Error::new(ErrorKind::TooLarge, message))
        }
        _ => None,
    }
}

/// Whether no replica can have been asked.
fn was_refused(error: &ExecutionError) -> bool {
    match error {
        ExecutionError::BadQuery(_)
        | ExecutionError::EmptyPlan
        | ExecutionError::PrepareError(_)
        | ExecutionError::ConnectionPoolError(_) => true,
        ExecutionError::LastAttemptError(attempt) => attempt_was_refused(attempt),
        _ => false,
    }
}

/// Whether no replica can have been asked in this attempt.
pub(crate) fn attempt_was_refused(attempt: &RequestAttemptError) -> bool {
    match attempt {
        RequestAttemptError::SerializationError(_)
        | RequestAttemptError::CqlRequestSerialization(_)
        | RequestAttemptError::UnableToAllocStreamId => true,
        RequestAttemptError::DbError(error, _) => matches!(
            error,
            DbError::Unavailable { .. }
                | DbError::Overloaded
                | DbError::IsBootstrapping
                | DbError::SyntaxError
                | DbError::Invalid
                | DbError::Unauthorized
                | DbError::ConfigError
                | DbError::ProtocolError
                | DbError::Unprepared { .. }
        ),
        _ => false,
    }
}
