//! `If-Match` and `If-None-Match`: what has to be true of an entry for a request to be served.
//!
//! Invariant: a write is judged by the engine, in the step that writes; what is known here beforehand only
//! chooses the guard. A guard that is refused tells the entry's version, and if the conditions hold for that
//! one the write is tried again with it as guard. Tags of other stores are tags that no entry here has. The
//! order is that of RFC 9110, 13.2.2; there are no dates to compare, so two of its headers play no part.

use http::{HeaderMap, HeaderName, header};
use tresor::{
    Effect, Error, ErrorKind, Guard, Result, Version,
    engine::{Applied, Change, MAX_SEQUENCE},
    session::Session,
};

use super::{content_coding::plain_tag, etag::Etag};

/// How often a write is tried whose guard is overtaken by others' writes.
const ATTEMPTS: usize = 32;

/// What a request says must hold.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    /// `If-Match`.
    wanted: Option<Tags>,
    /// `If-None-Match`.
    unwanted: Option<Tags>,
}

#[derive(Debug, PartialEq, Eq)]
enum Tags {
    /// `*`: whatever is there.
    Any,
    /// Those of this store.
    Versions(Vec<Version>),
}

impl Tags {
    fn contain(&self, version: Option<Version>) -> bool {
        match (self, version) {
            (_, None) => false,
            (Self::Any, Some(_)) => true,
            (Self::Versions(versions), Some(version)) => versions.contains(&version),
        }
    }
}

/// What the conditions say of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Holds,
    /// `If-Match` names another state.
    Changed,
    /// `If-None-Match` names this one.
    Seen,
}

/// What became of a write.
pub(super) enum Written {
    Done(Effect),
    /// The conditions do not hold for the entry, which has this version; `None` when it is absent.
    Refused(Option<Version>),
}

impl Conditions {
    /// Reads both headers; versions are those of the store with this id.
    ///
    /// # Errors
    /// A header that is no list of tags: taken for none, it would let a write through without a guard.
    pub(super) fn parse(headers: &HeaderMap, store_id: u64) -> Result<Self> {
        Ok(Self {
            wanted: tags(headers, &header::IF_MATCH, |tag| (!tag.is_weak).then(|| tag.version(store_id))?)?,
            unwanted: tags(headers, &header::IF_NONE_MATCH, |tag| tag.version(store_id))?,
        })
    }

    /// Whether there is anything to be judged.
    pub(super) fn are_given(headers: &HeaderMap) -> bool {
        headers.contains_key(header::IF_MATCH) || headers.contains_key(header::IF_NONE_MATCH)
    }

    /// Judges an entry of this version; `None` when it is absent.
    pub(super) fn judge(&self, version: Option<Version>) -> Verdict {
        if self.wanted.as_ref().is_some_and(|tags| !tags.contain(version)) {
            return Verdict::Changed;
        }
        match &self.unwanted {
            Some(tags) if tags.contain(version) => Verdict::Seen,
            _ => Verdict::Holds,
        }
    }

    /// Makes a change of one entry if the conditions hold. Inside the gate, sizes checked.
    ///
    /// # Errors
    /// Whatever the engine fails with, and [`LockTimeout`](ErrorKind::LockTimeout) when others always came
    /// in between.
    pub(super) async fn write<'a>(
        &self,
        session: &mut Session,
        change: impl Fn(Guard) -> Change<'a>,
    ) -> Result<Written> {
        let mut guard = self.first_guard();
        for _ in 0..ATTEMPTS {
            match session.write(&[change(guard)]).await?.applied {
                Applied::Whole(effects) => {
                    let effect = effects.first().copied();
                    return Ok(Written::Done(effect.unwrap_or(Effect { existed: false, version: 0 })));
                }
                Applied::Refused { version, .. } if self.judge(version) == Verdict::Holds => {
                    guard = version.map_or(Guard::Absent, Guard::Version);
                }
                Applied::Refused { version, .. } => return Ok(Written::Refused(version)),
            }
        }
        let message = "others kept changing the entry: nothing was done, try again";
        Err(Error::new(ErrorKind::LockTimeout, message))
    }

    /// A guard that never holds where the conditions do not.
    fn first_guard(&self) -> Guard {
        match (&self.wanted, &self.unwanted) {
            (None, None) => Guard::None,
            (Some(Tags::Any), None) => Guard::Present,
            (None, Some(_)) => Guard::Absent,
            (Some(Tags::Versions(versions)), None) if versions.len() == 1 => Guard::Version(versions[0]),
            // It is refused for certain, and the refusal tells the version.
            _ => Guard::Version(MAX_SEQUENCE),
        }
    }
}

/// An entity tag as a header has it.
struct Tag<'a> {
    is_weak: bool,
    /// What stands between the quotes.
    opaque: &'a str,
}

impl Tag<'_> {
    /// The version in it, if it is one that this store may have told.
    fn version(&self, store_id: u64) -> Option<Version> {
        let tag = Etag::parse(self.opaque).ok()?;
        (tag.store_id == store_id && tag.to_string() == plain_tag(self.opaque)).then_some(tag.version)
    }
}

/// The tags of all lines of a header, those that `version` knows; `None` without the header.
fn tags(
    headers: &HeaderMap,
    name: &HeaderName,
    version: impl Fn(&Tag<'_>) -> Option<Version>,
) -> Result<Option<Tags>> {
    let wrong = || {
        let message = format!("{name} must be * or a list of tags in quotes, as ETag headers have them");
        Error::invalid(message)
    };
    let (mut lines, mut versions, mut tags) = (0, Vec::new(), 0);
    for line in headers.get_all(name) {
        lines += 1;
        let mut rest = line.to_str().map_err(|_| wrong())?.trim();
        if rest == "*" {
            let is_alone = headers.get_all(name).iter().count() == 1;
            return if is_alone { Ok(Some(Tags::Any)) } else { Err(wrong()) };
        }
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix(',') {
                rest = after.trim_start();
                continue;
            }
            let (tag, after) = cut_tag(rest).ok_or_else(wrong)?;
            versions.extend(version(&tag));
            tags += 1;
            rest = after.trim_start();
            if !rest.is_empty() && !rest.starts_with(',') {
                return Err(wrong());
            }
        }
    }
    match (lines, tags) {
        (0, _) => Ok(None),
        (_, 0) => Err(wrong()),
        _ => Ok(Some(Tags::Versions(versions))),
    }
}

fn cut_tag(text: &str) -> Option<(Tag<'_>, &str)> {
    let (is_weak, quoted) = match text.strip_prefix("W/") {
        Some(quoted) => (true, quoted),
        None => (false, text),
    };
    let (opaque, rest) = quoted.strip_prefix('"')?.split_once('"')?;
    Some((Tag { is_weak, opaque }, rest))
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, header};
    use tresor::Guard;

    use super::{Conditions, Verdict};

    const STORE: u64 = 0xabc;

    fn conditions(lines: &[(&'static str, &'static str)]) -> tresor::Result<Conditions> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            let name = if *name == "match" { header::IF_MATCH } else { header::IF_NONE_MATCH };
            headers.append(name, HeaderValue::from_static(value));
        }
        Conditions::parse(&headers, STORE)
    }

    #[test]
    fn what_is_no_list_of_tags_is_refused() {
        for value in [
            "",
            ",",
            "x",
            "\"",
            "\"0000000000000abc-1",
            "0000000000000abc-1",
            "w/\"0000000000000abc-1\"",
            "\"a\" \"b\"",
            "*, \"a\"",
            "\"a\", *",
            "**",
        ] {
            assert!(conditions(&[("match", value)]).is_err(), "{value}");
            assert!(conditions(&[("none", value)]).is_err(), "{value}");
        }
        assert!(conditions(&[("match", "*"), ("match", "*")]).is_err());
        assert!(conditions(&[("match", "\"a\""), ("match", "*")]).is_err());
        assert!(conditions(&[("match", " , \"a,b\" ,, W/\"\" , "), ("match", "\"*\"")]).is_ok());
    }

    #[test]
    fn tags_mean_versions_of_this_store_in_their_one_spelling() {
        let one = conditions(&[("match", "\"0000000000000abc-7\", \"0000000000000abc-8\"")]).unwrap();
        for (version, verdict) in [
            (Some(7), Verdict::Holds),
            (Some(8), Verdict::Holds),
            (Some(9), Verdict::Changed),
            (None, Verdict::Changed),
        ] {
            assert_eq!(one.judge(version), verdict, "{version:?}");
        }
        for other in [
            "\"abc-7\"",
            "\"0000000000000ABC-7\"",
            "\"0000000000000abc-07\"",
            "\"0000000000000abd-7\"",
            "\"x\"",
        ] {
            assert_eq!(conditions(&[("match", other)]).unwrap().judge(Some(7)), Verdict::Changed, "{other}");
            assert_eq!(conditions(&[("none", other)]).unwrap().judge(Some(7)), Verdict::Holds, "{other}");
        }
        // Only what is compared for a cache takes weak tags.
        let weak = "W/\"0000000000000abc-7\"";
        assert_eq!(conditions(&[("match", weak)]).unwrap().judge(Some(7)), Verdict::Changed);
        assert_eq!(conditions(&[("none", weak)]).unwrap().judge(Some(7)), Verdict::Seen);
    }

    #[test]
    fn if_match_is_judged_first_and_a_first_guard_lets_nothing_wrong_through() {
        let tag = "\"0000000000000abc-7\"";
        for (lines, guard, present, absent) in [
            (&[][..], Guard::None, Verdict::Holds, Verdict::Holds),
            (&[("match", "*")], Guard::Present, Verdict::Holds, Verdict::Changed),
            (&[("none", "*")], Guard::Absent, Verdict::Seen, Verdict::Holds),
            (&[("match", tag)], Guard::Version(7), Verdict::Holds, Verdict::Changed),
            (&[("none", tag)], Guard::Absent, Verdict::Seen, Verdict::Holds),
            (&[("match", tag), ("none", tag)], never(), Verdict::Seen, Verdict::Changed),
            (&[("match", "*"), ("none", "\"x\"")], never(), Verdict::Holds, Verdict::Changed),
            (&[("match", "\"x\""), ("none", "*")], never(), Verdict::Changed, Verdict::Changed),
        ] {
            let conditions = conditions(lines).unwrap();
            assert_eq!(conditions.first_guard(), guard, "{lines:?}");
            assert_eq!(conditions.judge(Some(7)), present, "{lines:?}");
            assert_eq!(conditions.judge(None), absent, "{lines:?}");
        }
    }

    fn never() -> Guard {
        Guard::Version(tresor::engine::MAX_SEQUENCE)
    }
}
